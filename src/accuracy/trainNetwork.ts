/** Trains the small networks of predictors: a program that gives gradients, Adam, batches in a seeded order. */
import type { Program, Tensors } from '../engine/engine.js';
import { createRandom } from '../util/random.js';
import { tensor, type Shape } from '../util/tensor.js';
import { initAdam, updateAdam, type NamedArrays } from './adam.js';

export interface Recipe {
  /** Adam's, falling to 0 along half a cosine. */
  readonly learningRate: number;
  readonly weightDecay: number | ((name: string) => number);
  readonly steps: number;
}

export interface TrainingRequest {
  /** Takes the parameters and the inputs of a step; gives `gradient.NAME` for each parameter. */
  readonly program: Program;
  readonly shapes: ReadonlyMap<string, Shape>;
  /** Written into. */
  readonly parameters: NamedArrays;
  /** Inputs of the next step beside the parameters. */
  readonly nextBatch: () => Tensors;
  readonly recipe: Recipe;
  readonly signal?: AbortSignal | undefined;
}

/** Leaves the trained values in `parameters`. Throws the signal's reason. */
export async function trainNetwork(request: TrainingRequest): Promise<void> {
  const { program, parameters, nextBatch, recipe, signal } = request;
  const { learningRate, weightDecay, steps } = recipe;
  const names = [...request.shapes.keys()];
  const tensors = Object.fromEntries(
    [...request.shapes].map(([name, shape]) => [name, tensor(shape, parameters[name])]),
  );
  let state = initAdam(parameters);
  for (let step = 0; step < steps; step++) {
    signal?.throwIfAborted();
    const results = await program.run({ ...nextBatch(), ...tensors });
    state = updateAdam(
      state,
      parameters,
      Object.fromEntries(names.map((name) => [name, results[`gradient.${name}`]!.data])),
      { learningRate: 0.5 * learningRate * (1 + Math.cos((Math.PI * step) / steps)), weightDecay },
    );
  }
}

/** Indices below `count` without end, each epoch in an order of its own; batches run over the border of epochs. */
export function* shuffledIndices(
  count: number,
  ...seedParts: readonly (string | number)[]
): Generator<number, never> {
  const all = Array.from({ length: count }, (_, i) => i);
  for (let epoch = 0; ; epoch++) yield* createRandom(...seedParts, epoch).shuffle(all);
}

/** The rows of `indices`, one after the other, in a row-major [n, width] array. */
export function gatherRows(rows: Float32Array, width: number, indices: readonly number[]): Float32Array {
  const gathered = new Float32Array(indices.length * width);
  indices.forEach((row, i) => gathered.set(rows.subarray(row * width, (row + 1) * width), i * width));
  return gathered;
}
