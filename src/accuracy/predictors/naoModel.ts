/** Fits the encoder, head and decoder of neural architecture optimisation, and runs them. */
import { z } from 'zod';
import type { Engine } from '../../engine/engine.js';
import { validate } from '../../util/files.js';
import { createRandom } from '../../util/random.js';
import { tensor } from '../../util/tensor.js';
import type { NamedArrays } from '../adam.js';
import { BatchedProgram } from '../batchedProgram.js';
import type { FitData, Model, ModelContext, StoredModel } from '../definePredictor.js';
import { gatherRows, shuffledIndices, trainNetwork } from '../trainNetwork.js';
import { lineOntoTargets } from './calibration.js';
import { lossInputs } from './losses.js';
import { initDense } from './mlpGraph.js';
import {
  genePlaces,
  naoParameters,
  naoPartGraph,
  naoTrainingGraph,
  type NaoPart,
  type NaoShape,
} from './naoGraph.js';

const EMBEDDING = 64;
const WIDTH = 200;
const BATCH = 64;
const LEARNING_RATE = 2e-3;
/** The authors' (`controller_trade_off` of github.com/renqianluo/NAO_pytorch). */
const HEAD_SHARE = 0.8;

/** A model whose parts can be used one by one; all tensors are row-major, targets standardised. */
export interface NaoModel extends Model {
  readonly embeddingSize: number;
  /** Scaled rows [count, inputs] -> [count, embeddingSize]. */
  encode(rows: Float32Array, count: number): Promise<Float32Array>;
  /** [count, embeddingSize] -> targets [count], and the gradient of each in its embedding [count, embeddingSize]. */
  head(
    embeddings: Float32Array,
    count: number,
  ): Promise<{ readonly targets: Float32Array; readonly gradients: Float32Array }>;
  /** [count, embeddingSize] -> scores [count, inputs]. */
  decode(embeddings: Float32Array, count: number): Promise<Float32Array>;
}

/** As of `mlp`: a prior counts less the more samples there are. */
const weightDecayFor = (samples: number): number => Math.min(0.01, 1 / samples);
const stepsFor = (samples: number): number =>
  Math.min(1200, Math.max(400, Math.ceil((40 * samples) / BATCH)));

/**
 * `unlabelled`: scaled rows [n, width] of architectures whose accuracy is not known; they teach encoder and decoder (Luo et
 * al., "Semi-supervised neural architecture search", NeurIPS 2020, 3.2). Throws the signal's reason.
 */
export async function fitNaoModel(
  data: FitData,
  { engine, seed, loss, signal }: ModelContext,
  unlabelled: Float32Array = new Float32Array(),
): Promise<NaoModel> {
  const { rows, width: inputs, count, targets, labels } = data;
  const shape: NaoShape = { inputs, embedding: EMBEDDING, width: WIDTH };
  const shapes = naoParameters(shape);
  const parameters = initDense(shapes, createRandom(seed, 'nao-init'));
  const everything = new Float32Array(rows.length + unlabelled.length);
  everything.set(rows);
  everything.set(unlabelled, rows.length);
  const batch = Math.min(BATCH, count);
  const labelledOrder = shuffledIndices(count, seed, 'nao-order');
  const anyOrder = shuffledIndices(everything.length / inputs, seed, 'nao-reconstruction-order');
  const draw = (order: Generator<number, never>): number[] =>
    Array.from({ length: batch }, () => order.next().value);
  const nextBatch = () => {
    const indices = draw(labelledOrder);
    return {
      x: tensor([batch, inputs], gatherRows(rows, inputs, indices)),
      rows: tensor([batch, inputs], gatherRows(everything, inputs, draw(anyOrder))),
      ...lossInputs(loss, gatherRows(targets, 1, indices)),
    };
  };
  const program = await engine.compile(
    naoTrainingGraph(shape, batch, { loss, headShare: HEAD_SHARE, groups: genePlaces(labels) }),
  );
  try {
    const recipe = {
      learningRate: LEARNING_RATE,
      weightDecay: (name: string) => (name.startsWith('decoder') ? 0 : weightDecayFor(count)),
      steps: stepsFor(count),
    };
    await trainNetwork({ program, shapes, parameters, nextBatch, recipe, signal });
  } finally {
    await program.dispose();
  }
  const fitted = naoModel(shape, parameters, engine);
  if (loss === 'squared') return fitted;
  try {
    const { mean } = await fitted.predict(rows, count);
    const { slope, offset } = lineOntoTargets(mean, targets);
    const onTargets = {
      ...parameters,
      'head.output.weight': parameters['head.output.weight']!.map((weight) => slope * weight),
      'head.output.bias': parameters['head.output.bias']!.map((bias) => slope * bias + offset),
    };
    return naoModel(shape, onTargets, engine);
  } finally {
    await fitted.dispose();
  }
}

const settingsSchema = z.strictObject({
  embedding: z.number().int().positive(),
  width: z.number().int().positive(),
});

/** Throws UserError. */
export function restoreNaoModel(name: string, stored: StoredModel, engine: Engine): NaoModel {
  const settings = validate(stored.settings, settingsSchema, `the state of accuracy predictor "${name}"`);
  const shape: NaoShape = { inputs: stored.width, ...settings };
  const parameters = Object.fromEntries(
    [...naoParameters(shape)].map(([part, own]) => [part, stored.tensor(part, own)]),
  );
  return naoModel(shape, parameters, engine);
}

function naoModel(shape: NaoShape, parameters: NamedArrays, engine: Engine): NaoModel {
  const program = (part: NaoPart | 'encoder+head', width: number): BatchedProgram =>
    new BatchedProgram(engine, width, (batch) => naoPartGraph(shape, part, batch, parameters));
  const whole = program('encoder+head', shape.inputs);
  const encoder = program('encoder', shape.inputs);
  const head = program('head', shape.embedding);
  const decoder = program('decoder', shape.embedding);
  const none = new Float32Array();
  return {
    embeddingSize: shape.embedding,
    async predict(rows, count) {
      return { mean: Float64Array.from((await whole.run(rows, count))['y'] ?? none) };
    },
    async encode(rows, count) {
      return (await encoder.run(rows, count))['y'] ?? none;
    },
    async head(embeddings, count) {
      const { y = none, gradient = none } = await head.run(embeddings, count);
      return { targets: y, gradients: gradient };
    },
    async decode(embeddings, count) {
      return (await decoder.run(embeddings, count))['y'] ?? none;
    },
    tensors: new Map([...naoParameters(shape)].map(([name, own]) => [name, tensor(own, parameters[name])])),
    settings: { embedding: shape.embedding, width: shape.width },
    async dispose() {
      for (const part of [whole, encoder, head, decoder]) await part.dispose();
    },
  };
}
