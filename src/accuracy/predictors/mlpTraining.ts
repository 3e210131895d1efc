/** Fits one member of the ensemble. */
import type { Program } from '../../engine/engine.js';
import { createRandom } from '../../util/random.js';
import { tensor } from '../../util/tensor.js';
import { initAdam, updateAdam, type NamedArrays } from '../adam.js';
import { initMlp, mlpParameters, type MlpShape } from './mlpGraph.js';

export interface MlpRecipe {
  /** Adam's, falling to 0 along half a cosine. */
  readonly learningRate: number;
  readonly weightDecay: number;
  readonly steps: number;
}

/** Row-major inputs [n, inputs], and n standardised targets. */
export interface MlpData {
  readonly rows: Float32Array;
  readonly targets: Float32Array;
}

/** Indices of rows, epoch after epoch, each in an order of its own; batches run over the border of epochs. */
function* shuffledRows(count: number, seed: number, member: number): Generator<number, never> {
  const all = Array.from({ length: count }, (_, i) => i);
  for (let epoch = 0; ; epoch++) yield* createRandom(seed, 'mlp-order', member, epoch).shuffle(all);
}

/** `program`: of `mlpTrainingGraph(shape, batch)`. Throws the signal's reason. */
export async function trainMlp(
  program: Program,
  shape: MlpShape,
  batch: number,
  { rows, targets }: MlpData,
  { learningRate, weightDecay, steps }: MlpRecipe,
  seed: number,
  member: number,
  signal?: AbortSignal,
): Promise<NamedArrays> {
  const shapes = [...mlpParameters(shape)];
  const parameters: NamedArrays = initMlp(shape, createRandom(seed, 'mlp-init', member));
  let state = initAdam(parameters);
  const order = shuffledRows(targets.length, seed, member);
  for (let step = 0; step < steps; step++) {
    signal?.throwIfAborted();
    const x = new Float32Array(batch * shape.inputs);
    const target = new Float32Array(batch);
    for (let i = 0; i < batch; i++) {
      const row = order.next().value;
      x.set(rows.subarray(row * shape.inputs, (row + 1) * shape.inputs), i * shape.inputs);
      target[i] = targets[row]!;
    }
    const results = await program.run({
      x: tensor([batch, shape.inputs], x),
      target: tensor([batch, 1], target),
      ...Object.fromEntries(shapes.map(([name, own]) => [name, tensor(own, parameters[name])])),
    });
    state = updateAdam(
      state,
      parameters,
      Object.fromEntries(shapes.map(([name]) => [name, results[`gradient.${name}`]!.data])),
      { learningRate: 0.5 * learningRate * (1 + Math.cos((Math.PI * step) / steps)), weightDecay },
    );
  }
  return parameters;
}
