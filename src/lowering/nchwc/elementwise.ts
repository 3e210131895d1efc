/** Sums and products of images, of images with a value for each channel of each image, and sums over positions. */
import type { Node, Value } from '../../graph/graph.js';
import {
  addOperation,
  affineOperation,
  mulOperation,
  subOperation,
} from '../../graph/operations/elementwise.js';
import { expandOperation, reduceSumOperation } from '../../graph/operations/shape.js';
import { sameShape, type Shape } from '../../util/tensor.js';
import type { BlockedWriter } from './blockedWriter.js';
import { imageProducts } from './reductions.js';
import { blockedRule, type BlockedCall } from './rule.js';

const isImage = (shape: Shape): boolean => shape.length === 4;

/** Operands of equal shape [N, C, H, W], at least one of them blocked already. */
function areImages(w: BlockedWriter, inputs: readonly Value[]): boolean {
  const { shape } = inputs[0]!;
  return (
    isImage(shape) &&
    inputs.every((value) => sameShape(value.shape, shape)) &&
    inputs.some((value) => w.isBlocked(value))
  );
}

function elementwise({ w, node, inputs }: BlockedCall<unknown>): boolean {
  if (!areImages(w, inputs)) return false;
  w.writeElementwise(node);
  return true;
}

export const subRule = blockedRule(subOperation, elementwise);
export const affineRule = blockedRule(affineOperation, elementwise);

/** An operand that comes out of a convolution is added there: the other one becomes its Sum input. */
export const addRule = blockedRule(addOperation, (call) => {
  const { w, facts, node, inputs, outputs } = call;
  if (!areImages(w, inputs)) return false;
  for (const [a, b] of [inputs, [...inputs].reverse()] as [Value, Value][]) {
    const held = w.fusable(a, node);
    if (held === undefined || a === b) continue;
    const spread = facts.spread.get(b);
    if (spread !== undefined && held.emitShifted !== undefined && isOnlyUser(w, b, node)) {
      const shift = vectorOfImages(w, spread);
      w.setBlocked(
        outputs[0]!,
        w.writer.within(held.scope, () => held.emitShifted!(shift)),
      );
      return true;
    }
    if (!held.fuses) continue;
    w.hold(outputs[0]!, node, {
      fuses: true,
      emit: ({ sum, activation }) => {
        const other = w.blocked(b);
        if (sum === undefined) return w.emit(held, { sum: other, ...(activation && { activation }) });
        return w.emit(held, { sum: w.node('Add', [sum, other]), ...(activation && { activation }) });
      },
    });
    return true;
  }
  return elementwise(call);
});

const isOnlyUser = (w: BlockedWriter, value: Value, node: Node): boolean => {
  const users = w.users(value);
  return users?.length === 1 && users[0] === node;
};

/** A value [N, C, 1, 1] as [N * padded C]. */
function vectorOfImages(w: BlockedWriter, value: Value): string {
  const [n, c] = value.shape as [number, number];
  const padded = w.pad(w.plain(value), value.shape, w.blockedShape(value.shape));
  return w.reshape(padded, [n * w.padded(c)]);
}

/** x [N, C, H, W] times s [N, C, 1, 1]: a depthwise 1x1 convolution of one image of N * C channels. */
function scaleImages(w: BlockedWriter, x: Value, s: Value, shift?: string): string {
  const dims = w.blockedShape(x.shape);
  const [n, c, h, width] = dims;
  const image = w.reshape(w.blocked(x), [1, n * c, h, width]);
  const filter = w.reshape(vectorOfImages(w, s), [n * c, 1, 1, 1]);
  const scaled = w.convolution(
    image,
    filter,
    { kernel: [1, 1], groups: n * c },
    shift === undefined ? {} : { bias: shift },
  );
  return w.reshape(scaled, dims);
}

/** Whether s [N, C, 1, 1] has a value for each channel of x. */
const scales = (x: Value, s: Value): boolean =>
  isImage(x.shape) &&
  s.shape.length === 4 &&
  s.shape[2] === 1 &&
  s.shape[3] === 1 &&
  sameShape(x.shape.slice(0, 2), s.shape.slice(0, 2));

export const mulRule = blockedRule(mulOperation, (call) => {
  const { w, node, inputs, outputs } = call;
  const [a, b] = inputs as readonly [Value, Value];
  if (areImages(w, inputs)) {
    w.hold(outputs[0]!, node, {
      fuses: false,
      emit: () => w.node('Mul', [w.blocked(a), w.blocked(b)]),
      factors: [a, b],
    });
    return true;
  }
  for (const [x, s] of [
    [a, b],
    [b, a],
  ] as const) {
    if (!w.isBlocked(x) || !scales(x, s)) continue;
    w.hold(outputs[0]!, node, {
      fuses: false,
      emit: () => scaleImages(w, x, s),
      emitShifted: (shift) => scaleImages(w, x, s, shift),
    });
    return true;
  }
  return false;
});

/** The sum over positions of a product that nothing else reads is made without the product. */
export const reduceSumRule = blockedRule(reduceSumOperation, ({ w, node, attributes, inputs, outputs }) => {
  const [n, c] = inputs[0]!.shape as [number, number];
  const factors = w.fusable(inputs[0]!, node)?.factors;
  if (factors === undefined || attributes.axes.join() !== '2,3') return false;
  const dims = w.blockedShape(inputs[0]!.shape);
  const sums = imageProducts(w, w.blocked(factors[0]), w.blocked(factors[1]), dims);
  const whole = sums.factor === 1 ? sums.name : w.node('Mul', [sums.name, w.writer.floats([sums.factor])]);
  const image = w.reshape(whole, [n, dims[1], 1, 1]);
  w.cut(image, 1, dims[1], c, w.plainOutput(outputs[0]!));
  return true;
});

/** The plain form, unless it is added to a scaled image: then it is the bias of that convolution. */
export const expandRule = blockedRule(expandOperation, ({ w, facts, node, inputs, outputs }) => {
  if (!scales(outputs[0]!, inputs[0]!)) return false;
  facts.spread.set(outputs[0]!, inputs[0]!);
  w.postpone(node);
  return true;
});
