/** Activations and their gradients on blocked tensors. */
import type { Node, Value } from '../../graph/graph.js';
import {
  activationGradientOperation,
  activationOperation,
  type ActivationAttributes,
  type ActivationFunction,
} from '../../graph/operations/activation.js';
import type { BlockedWriter } from './blockedWriter.js';
import type { FusedActivation } from './operators.js';
import { blockedRule } from './rule.js';

/** Activations whose gradient can be told from their result: the convolution before applies them. */
const FUSED: Partial<Record<ActivationFunction, FusedActivation>> = {
  relu: { type: 'Relu' },
  relu6: { type: 'Clip', parameters: [0, 6] },
};

/** A power of two steeper than any difference of two floats around a kink: products with it are exact. */
const STEEP = 2 ** 100;

/** 1 where |x| < limit, else 0. */
function inside(w: BlockedWriter, x: string, limit: number): string {
  return w.node('HardSigmoid', [w.node('Abs', [x])], {
    alpha: { float: -STEEP },
    beta: { float: limit * STEEP },
  });
}

const hardSigmoid = (w: BlockedWriter, x: string): string =>
  w.node('HardSigmoid', [x], { alpha: { float: 1 / 6 }, beta: { float: 0.5 } });

/** Whether nothing reads `x` but the activation `node` and its gradient. */
function onlyActivated(w: BlockedWriter, x: Value, node: Node, fn: ActivationFunction): boolean {
  const users = w.users(x);
  return (
    users?.every(
      (user) =>
        user === node ||
        (user.operation.name === activationGradientOperation.name &&
          (user.attributes as ActivationAttributes).function === fn &&
          user.inputs[1] !== x),
    ) ?? false
  );
}

export const activationRule = blockedRule(
  activationOperation,
  ({ w, facts, node, attributes, inputs, outputs }) => {
    const x = inputs[0]!;
    const y = outputs[0]!;
    if (!w.isBlocked(x)) return false;
    const fused = FUSED[attributes.function];
    const before = fused === undefined ? undefined : w.held(x);
    if (before?.fuses === true && onlyActivated(w, x, node, attributes.function)) {
      facts.results.set(x, y);
      w.setBlocked(y, w.emit(before, { activation: fused! }));
      return true;
    }
    const name = w.blocked(x);
    if (attributes.function === 'h_swish') {
      const gate = hardSigmoid(w, name);
      facts.gates.set(x, gate);
      w.setBlocked(y, w.node('Mul', [name, gate]));
      return true;
    }
    w.writeElementwise(node);
    return true;
  },
);

export const activationGradientRule = blockedRule(
  activationGradientOperation,
  ({ w, facts, node, attributes, inputs, outputs }) => {
    const [x, dy] = inputs as readonly [Value, Value];
    const source = facts.results.get(x) ?? x;
    if (!w.isBlocked(source) && !w.isBlocked(dy)) return false;
    const slope = SLOPES[attributes.function]?.(w, w.blocked(source), x.shape[1]!, facts.gates.get(x));
    if (slope === undefined) w.writeElementwise(node);
    else w.setBlocked(outputs[0]!, w.node('Mul', [slope, w.blocked(dy)]));
    return true;
  },
);

type Slope = (w: BlockedWriter, x: string, channels: number, gate: string | undefined) => string;

/** The derivatives of those functions for which there are fewer passes than the plain form takes. */
const SLOPES: Partial<Record<ActivationFunction, Slope>> = {
  relu: (w, x) => w.node('HardSigmoid', [x], { alpha: { float: STEEP }, beta: { float: 0 } }),
  relu6: (w, x) => inside(w, w.node('Sub', [x, w.writer.floats([3])]), 3),
  // h(x) + x h'(x), with h the hard sigmoid.
  h_swish: (w, x, channels, gate) => {
    const h = gate ?? hardSigmoid(w, x);
    const linear = w.node('Mul', [x, inside(w, x, 3)]);
    return w.affine(linear, channels, w.constantFilter(channels, 1 / 6), undefined, { sum: h });
  },
};
