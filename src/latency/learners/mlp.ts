/**
 * A perceptron with one hidden layer of tanh units, trained by Adam (Kingma and Ba, 2015, algorithm 1) on batches, with
 * weight decay. A few hundred examples and some fifty inputs: plain loops are enough, and no runtime is loaded.
 */
import { z } from 'zod';
import { createRandom, type Random } from '../../util/random.js';
import type { Learner } from './learner.js';

export interface MlpSettings {
  readonly hidden: number;
  readonly steps: number;
  readonly batch: number;
  readonly learningRate: number;
  /** Of the loss's penalty on squared weights. */
  readonly decay: number;
}

const numbers = z.array(z.number());
const stateSchema = z
  .strictObject({
    /** Inputs are shifted by `shift` and multiplied by `scale`, the output likewise the other way. */
    shift: numbers,
    scale: numbers,
    targetMean: z.number(),
    targetScale: z.number(),
    /** hidden x inputs, row by row. */
    hiddenWeights: numbers,
    hiddenBias: numbers.nonempty(),
    outputWeights: numbers,
    outputBias: z.number(),
  })
  .refine(
    ({ shift, scale, hiddenWeights, hiddenBias, outputWeights }) =>
      scale.length === shift.length &&
      outputWeights.length === hiddenBias.length &&
      hiddenWeights.length === hiddenBias.length * shift.length,
    'layers must fit together',
  );
export type MlpState = z.infer<typeof stateSchema>;

/** All weights in one array: hidden weights, hidden bias, output weights, output bias. */
interface Layout {
  readonly inputs: number;
  readonly hidden: number;
}
const weightCount = ({ inputs, hidden }: Layout): number => hidden * (inputs + 2) + 1;

/**
 * Output for a row; `activations` receives the hidden layer. Exported for the test of its gradient.
 */
export function forward(
  weights: Float64Array,
  { inputs, hidden }: Layout,
  row: ArrayLike<number>,
  activations: Float64Array,
): number {
  const bias = hidden * inputs;
  const out = bias + hidden;
  let value = weights[out + hidden]!;
  for (let h = 0; h < hidden; h++) {
    let sum = weights[bias + h]!;
    const at = h * inputs;
    for (let j = 0; j < inputs; j++) sum += weights[at + j]! * row[j]!;
    const activation = Math.tanh(sum);
    activations[h] = activation;
    value += weights[out + h]! * activation;
  }
  return value;
}

/** Adds the gradient of `slope` x output by the weights to `gradient`. After `forward` on the same row. */
export function backward(
  weights: Float64Array,
  { inputs, hidden }: Layout,
  row: ArrayLike<number>,
  activations: Float64Array,
  slope: number,
  gradient: Float64Array,
): void {
  const bias = hidden * inputs;
  const out = bias + hidden;
  gradient[out + hidden]! += slope;
  for (let h = 0; h < hidden; h++) {
    const activation = activations[h]!;
    gradient[out + h]! += slope * activation;
    const inner = slope * weights[out + h]! * (1 - activation * activation);
    gradient[bias + h]! += inner;
    const at = h * inputs;
    for (let j = 0; j < inputs; j++) gradient[at + j]! += inner * row[j]!;
  }
}

function initialWeights(layout: Layout, random: Random): Float64Array {
  const { inputs, hidden } = layout;
  const weights = new Float64Array(weightCount(layout));
  for (let i = 0; i < hidden * inputs; i++) weights[i] = random.normal() / Math.sqrt(inputs);
  for (let h = 0; h < hidden; h++) weights[hidden * inputs + hidden + h] = 0.1 * random.normal();
  return weights;
}

/** Mean and 1 / standard deviation of a column; 0 for a constant one, which so has no influence. */
function standardise(values: readonly number[]): { mean: number; scale: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return { mean, scale: variance > 1e-18 * mean ** 2 ? 1 / Math.sqrt(variance) : 0 };
}

function train(rows: readonly Float64Array[], targets: Float64Array, settings: MlpSettings): Float64Array {
  const layout = { inputs: rows[0]!.length, hidden: settings.hidden };
  const random = createRandom('latency mlp', rows.length, layout.inputs);
  const weights = initialWeights(layout, random);
  const gradient = new Float64Array(weights.length);
  const first = new Float64Array(weights.length);
  const second = new Float64Array(weights.length);
  const activations = new Float64Array(settings.hidden);
  let order: number[] = [];
  for (let step = 1; step <= settings.steps; step++) {
    gradient.fill(0);
    const batch = Math.min(settings.batch, rows.length);
    for (let b = 0; b < batch; b++) {
      if (order.length === 0) order = random.shuffle(rows.map((_, i) => i));
      const i = order.pop()!;
      const error = forward(weights, layout, rows[i]!, activations) - targets[i]!;
      backward(weights, layout, rows[i]!, activations, error / batch, gradient);
    }
    // A cosine to 0, so that the last batches leave no mark.
    const rate = settings.learningRate * 0.5 * (1 + Math.cos((Math.PI * step) / settings.steps));
    for (let w = 0; w < weights.length; w++) {
      const slope = gradient[w]! + settings.decay * weights[w]!;
      first[w] = 0.9 * first[w]! + 0.1 * slope;
      second[w] = 0.999 * second[w]! + 0.001 * slope * slope;
      const mean = first[w]! / (1 - 0.9 ** step);
      const square = second[w]! / (1 - 0.999 ** step);
      weights[w]! -= (rate * mean) / (Math.sqrt(square) + 1e-8);
    }
  }
  return weights;
}

export function mlp(settings: MlpSettings): Learner<MlpState> {
  return {
    schema: stateSchema,
    fit(rows, targets) {
      const inputs = rows[0]!.length;
      const columns = Array.from({ length: inputs }, (_, j) => standardise(rows.map((row) => row[j]!)));
      const target = standardise(targets);
      const weights = train(
        rows.map((row) => Float64Array.from(row, (v, j) => (v - columns[j]!.mean) * columns[j]!.scale)),
        Float64Array.from(targets, (value) => (value - target.mean) * target.scale),
        settings,
      );
      const { hidden } = settings;
      const part = (from: number, length: number): number[] => [...weights.subarray(from, from + length)];
      const [firstBias, ...otherBias] = part(hidden * inputs, hidden);
      return {
        shift: columns.map(({ mean }) => mean),
        scale: columns.map(({ scale }) => scale),
        targetMean: target.mean,
        targetScale: target.scale === 0 ? 0 : 1 / target.scale,
        hiddenWeights: part(0, hidden * inputs),
        hiddenBias: [firstBias!, ...otherBias],
        outputWeights: part(hidden * (inputs + 1), hidden),
        outputBias: weights[weights.length - 1]!,
      };
    },
    predict(state, row) {
      const layout = { inputs: state.shift.length, hidden: state.hiddenBias.length };
      const weights = Float64Array.of(
        ...state.hiddenWeights,
        ...state.hiddenBias,
        ...state.outputWeights,
        state.outputBias,
      );
      const x = state.shift.map((shift, j) => (row[j]! - shift) * state.scale[j]!);
      const value = forward(weights, layout, x, new Float64Array(layout.hidden));
      return state.targetMean + state.targetScale * value;
    },
  };
}
