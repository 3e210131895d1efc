/** Several networks of one shape, fitted each from a seed of its own: their mean is the prediction, their spread the variance. */
import { z } from 'zod';
import type { Engine } from '../../engine/engine.js';
import { validate } from '../../util/files.js';
import { createRandom } from '../../util/random.js';
import { tensor, type Tensor } from '../../util/tensor.js';
import type { NamedArrays } from '../adam.js';
import { BatchedProgram } from '../batchedProgram.js';
import type { FitData, Model, ModelContext, StoredModel } from '../definePredictor.js';
import { gatherRows, shuffledIndices, trainNetwork, type Recipe } from '../trainNetwork.js';
import { lineOntoTargets } from './calibration.js';
import { lossInputs } from './losses.js';
import { initDense, mlpParameters, mlpPredictionGraph, mlpTrainingGraph, type MlpShape } from './mlpGraph.js';

export interface EnsembleRecipe extends Recipe {
  readonly width: number;
  readonly layers: number;
  readonly members: number;
  readonly batch: number;
}

const settingsSchema = z.strictObject({
  width: z.number().int().positive(),
  layers: z.number().int().positive().default(3),
  members: z.number().int().positive(),
});

/** Throws the signal's reason. */
export async function fitEnsemble(
  data: FitData,
  recipe: EnsembleRecipe,
  context: ModelContext,
): Promise<Model> {
  const { rows, width: inputs, count, targets } = data;
  const { engine, seed, loss, signal } = context;
  const shape: MlpShape = { inputs, width: recipe.width, layers: recipe.layers };
  const shapes = mlpParameters(shape);
  const batch = Math.min(recipe.batch, count);
  const members: NamedArrays[] = [];
  const program = await engine.compile(mlpTrainingGraph(shape, batch, loss));
  try {
    for (let member = 0; member < recipe.members; member++) {
      const parameters = initDense(shapes, createRandom(seed, 'mlp-init', member));
      const order = shuffledIndices(count, seed, 'mlp-order', member);
      const nextBatch = () => {
        const indices = Array.from({ length: batch }, () => order.next().value);
        return {
          x: tensor([batch, inputs], gatherRows(rows, inputs, indices)),
          ...lossInputs(loss, gatherRows(targets, 1, indices)),
        };
      };
      await trainNetwork({ program, shapes, parameters, nextBatch, recipe, signal });
      members.push(parameters);
    }
  } finally {
    await program.dispose();
  }
  if (loss === 'squared')
    return ensemble({ shape, members, offsets: new Float32Array(members.length) }, engine);
  return calibrated({ shape, members, offsets: new Float32Array(members.length) }, data, engine);
}

/** Throws UserError. */
export function restoreEnsemble(name: string, stored: StoredModel, engine: Engine): Model {
  const where = `the state of accuracy predictor "${name}"`;
  const { width, layers, members: count } = validate(stored.settings, settingsSchema, where);
  const shape: MlpShape = { inputs: stored.width, width, layers };
  const members = Array.from({ length: count }, (_, i) =>
    Object.fromEntries(
      [...mlpParameters(shape)].map(([part, own]) => [part, stored.tensor(`member${i}.${part}`, own)]),
    ),
  );
  const offsets = stored.has('offsets') ? stored.tensor('offsets', [count]) : new Float32Array(count);
  return ensemble({ shape, members, offsets }, engine);
}

interface Fitted {
  readonly shape: MlpShape;
  readonly members: readonly NamedArrays[];
  /** Added to the output of each member. */
  readonly offsets: Float32Array;
}

function ensemble(
  { shape, members, offsets }: Fitted,
  engine: Engine,
): Model & { readonly columns: typeof columns } {
  const program = new BatchedProgram(engine, shape.inputs, (batch) =>
    mlpPredictionGraph(shape, batch, members),
  );
  const columns = async (rows: Float32Array, count: number): Promise<Float32Array[]> => {
    const outputs = await program.run(rows, count);
    return members.map((_, i) => outputs[`member${i}`] ?? new Float32Array());
  };
  const tensors = new Map<string, Tensor>();
  members.forEach((member, i) => {
    for (const [name, own] of mlpParameters(shape))
      tensors.set(`member${i}.${name}`, tensor(own, member[name]));
  });
  if (offsets.some((offset) => offset !== 0)) tensors.set('offsets', tensor([members.length], offsets));
  return {
    columns,
    async predict(rows, count) {
      const mean = new Float64Array(count);
      const variance = new Float64Array(count);
      (await columns(rows, count)).forEach((column, i) => {
        const offset = offsets[i]!;
        for (let row = 0; row < count; row++) {
          const value = column[row]! + offset;
          // Welford's update: sums of squares would lose small spreads.
          const difference = value - mean[row]!;
          mean[row]! += difference / (i + 1);
          variance[row]! += difference * (value - mean[row]!);
        }
      });
      for (let row = 0; row < count; row++) variance[row]! /= members.length;
      return { mean, variance };
    },
    tensors,
    settings: { width: shape.width, layers: shape.layers, members: members.length },
    dispose: () => program.dispose(),
  };
}

/** Scores that were trained for their order, put on the scale of the targets member by member. */
async function calibrated(fitted: Fitted, { rows, count, targets }: FitData, engine: Engine): Promise<Model> {
  const raw = ensemble(fitted, engine);
  const offsets = new Float32Array(fitted.members.length);
  try {
    const columns = await raw.columns(rows, count);
    const members = fitted.members.map((member, i) => {
      const { slope, offset } = lineOntoTargets(columns[i]!, targets);
      offsets[i] = offset;
      return { ...member, 'output.weight': member['output.weight']!.map((weight) => slope * weight) };
    });
    return ensemble({ ...fitted, members, offsets }, engine);
  } finally {
    await raw.dispose();
  }
}
