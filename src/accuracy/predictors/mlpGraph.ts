/** The predictor's network as graphs: one step of training, and the prediction of an ensemble. */
import { differentiate } from '../../graph/differentiate.js';
import { GraphBuilder, type Graph, type Value } from '../../graph/graph.js';
import { activation } from '../../graph/operations/activation.js';
import { add } from '../../graph/operations/elementwise.js';
import { matmul } from '../../graph/operations/matmul.js';
import type { Random } from '../../util/random.js';
import { sizeOf, type Shape } from '../../util/tensor.js';
import type { NamedArrays } from '../adam.js';
import type { Loss } from '../predictor.js';
import { appendLoss } from './losses.js';

export interface MlpShape {
  /** Places of the encoding. */
  readonly inputs: number;
  readonly width: number;
  /** Hidden ones. */
  readonly layers: number;
}

/** Weights [in, out] and biases [out] of the hidden layers, then the output's weights [width, 1], which has no bias. */
export function mlpParameters({ inputs, width, layers }: MlpShape): Map<string, Shape> {
  const shapes = new Map<string, Shape>();
  for (let layer = 0; layer < layers; layer++) {
    shapes.set(`hidden${layer}.weight`, [layer === 0 ? inputs : width, width]);
    shapes.set(`hidden${layer}.bias`, [width]);
  }
  return shapes.set('output.weight', [width, 1]);
}

/**
 * Uniform within 1 / sqrt(inputs of the layer), as `torch.nn.Linear` draws weights and biases. `shapes`: weights [in, out],
 * each before its bias.
 */
export function initDense(shapes: ReadonlyMap<string, Shape>, random: Random): Record<string, Float32Array> {
  let bound = 0;
  return Object.fromEntries(
    [...shapes].map(([name, shape]) => {
      if (shape.length === 2) bound = 1 / Math.sqrt(shape[0]!);
      return [name, Float32Array.from({ length: sizeOf(shape) }, () => bound * (2 * random.float() - 1))];
    }),
  );
}

/** x: [N, inputs] -> [N, 1]. */
function forward(b: GraphBuilder, layers: number, x: Value, parameter: (name: string) => Value): Value {
  let y = x;
  for (let layer = 0; layer < layers; layer++) {
    const product = matmul(b, y, parameter(`hidden${layer}.weight`));
    y = activation(b, add(b, product, parameter(`hidden${layer}.bias`)), 'relu');
  }
  return matmul(b, y, parameter('output.weight'));
}

/**
 * Inputs `x` [batch, inputs], those of the loss (`lossInputs`) and the parameters by name; outputs `loss` [1] and its
 * gradients as `gradient.NAME`.
 */
export function mlpTrainingGraph(shape: MlpShape, batch: number, loss: Loss): Graph {
  const b = new GraphBuilder();
  const x = b.input('x', [batch, shape.inputs]);
  const parameters = new Map([...mlpParameters(shape)].map(([name, own]) => [name, b.input(name, own)]));
  const value = appendLoss(
    b,
    loss,
    forward(b, shape.layers, x, (name) => parameters.get(name)!),
  );
  b.output('loss', value);
  const one = b.constant('one', [1], Float32Array.of(1));
  const gradients = differentiate(b, [{ value, gradient: one }], [...parameters.values()]);
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
      b.scope(`member${i}`, () => forward(b, shape.layers, x, parameter)),
    );
  });
  return b.build();
}

/** Input `x` [batch, inputs], any point between architectures; outputs `y` [batch, 1] and its gradient in `x`, `gradient`. */
export function mlpInputGradientGraph(shape: MlpShape, batch: number, member: NamedArrays): Graph {
  const b = new GraphBuilder();
  const x = b.input('x', [batch, shape.inputs]);
  const shapes = mlpParameters(shape);
  const y = forward(b, shape.layers, x, (name) => b.constant(name, shapes.get(name)!, member[name]!));
  const ones = b.constant('ones', [batch, 1], new Float32Array(batch).fill(1));
  b.output('y', y);
  b.output('gradient', differentiate(b, [{ value: y, gradient: ones }], [x])[0]!);
  return b.build();
}
