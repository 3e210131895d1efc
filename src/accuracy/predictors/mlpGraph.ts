/** The predictor's network as graphs: one step of training, and the prediction of an ensemble. */
import { differentiate } from '../../graph/differentiate.js';
import { GraphBuilder, type Graph, type Value } from '../../graph/graph.js';
import { activation } from '../../graph/operations/activation.js';
import { add, affine, mul, sub } from '../../graph/operations/elementwise.js';
import { matmul } from '../../graph/operations/matmul.js';
import { reduceSum, reshape } from '../../graph/operations/shape.js';
import type { Random } from '../../util/random.js';
import { sizeOf, type Shape } from '../../util/tensor.js';
import type { NamedArrays } from '../adam.js';

export interface MlpShape {
  /** Places of the encoding. */
  readonly inputs: number;
  readonly width: number;
}

export const HIDDEN_LAYERS = 3;

/** Weights [in, out] and biases [out] of the hidden layers, then the output's weights [width, 1], which has no bias. */
export function mlpParameters({ inputs, width }: MlpShape): Map<string, Shape> {
  const shapes = new Map<string, Shape>();
  for (let layer = 0; layer < HIDDEN_LAYERS; layer++) {
    shapes.set(`hidden${layer}.weight`, [layer === 0 ? inputs : width, width]);
    shapes.set(`hidden${layer}.bias`, [width]);
  }
  return shapes.set('output.weight', [width, 1]);
}

/** Uniform within 1 / sqrt(inputs of the layer), as `torch.nn.Linear` draws weights and biases. */
export function initMlp(shape: MlpShape, random: Random): Record<string, Float32Array> {
  let bound = 0;
  return Object.fromEntries(
    [...mlpParameters(shape)].map(([name, parameter]) => {
      if (parameter.length === 2) bound = 1 / Math.sqrt(parameter[0]!);
      return [name, Float32Array.from({ length: sizeOf(parameter) }, () => bound * (2 * random.float() - 1))];
    }),
  );
}

/** x: [N, inputs] -> [N, 1]. */
function forward(b: GraphBuilder, x: Value, parameter: (name: string) => Value): Value {
  let y = x;
  for (let layer = 0; layer < HIDDEN_LAYERS; layer++) {
    const product = matmul(b, y, parameter(`hidden${layer}.weight`));
    y = activation(b, add(b, product, parameter(`hidden${layer}.bias`)), 'relu');
  }
  return matmul(b, y, parameter('output.weight'));
}

/**
 * Inputs `x` [batch, inputs], `target` [batch, 1] and the parameters by name; outputs `loss` [1], the mean square error,
 * and its gradients as `gradient.NAME`.
 */
export function mlpTrainingGraph(shape: MlpShape, batch: number): Graph {
  const b = new GraphBuilder();
  const x = b.input('x', [batch, shape.inputs]);
  const target = b.input('target', [batch, 1]);
  const parameters = new Map([...mlpParameters(shape)].map(([name, own]) => [name, b.input(name, own)]));
  const error = sub(
    b,
    forward(b, x, (name) => parameters.get(name)!),
    target,
  );
  const loss = reshape(b, affine(b, reduceSum(b, mul(b, error, error), [0, 1]), 1 / batch), [1]);
  b.output('loss', loss);
  const one = b.constant('one', [1], Float32Array.of(1));
  const gradients = differentiate(b, [{ value: loss, gradient: one }], [...parameters.values()]);
  [...parameters.keys()].forEach((name, i) => b.output(`gradient.${name}`, gradients[i]!));
  return b.build();
}

/** Input `x` [batch, inputs]; outputs `member0`, `member1` ... [batch, 1]. Weights are constants, which engines pack once. */
export function mlpPredictionGraph(shape: MlpShape, batch: number, members: readonly NamedArrays[]): Graph {
  const b = new GraphBuilder();
  const x = b.input('x', [batch, shape.inputs]);
  const shapes = mlpParameters(shape);
  members.forEach((member, i) => {
    const parameter = (name: string): Value =>
      b.constant(`member${i}.${name}`, shapes.get(name)!, member[name]!);
    b.output(
      `member${i}`,
      b.scope(`member${i}`, () => forward(b, x, parameter)),
    );
  });
  return b.build();
}
