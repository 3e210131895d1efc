/**
 * What all predictors share: samples checked and encoded, inputs and targets scaled, equal accuracies, files. A
 * definition is left with its model: from scaled rows to standardised targets.
 */
import { z } from 'zod';
import type { Engine } from '../engine/engine.js';
import { UserError } from '../util/errors.js';
import { validate } from '../util/files.js';
import { tensor, type Tensor } from '../util/tensor.js';
import { fitInputs, scaleInputs, type InputScaling } from './inputs.js';
import {
  checkSamples,
  encodeRows,
  stateTensor,
  type AccuracyPredictor,
  type Loss,
  type PredictorContext,
  type PredictorDefinition,
  type PredictorState,
  type RowPredictions,
} from './predictor.js';
import {
  fitTargets,
  fromTarget,
  TARGET_SCALES,
  targetSlope,
  toTarget,
  type TargetTransform,
} from './targets.js';

/** What a model is fitted on. */
export interface FitData {
  /** Row-major [count, width], scaled. */
  readonly rows: Float32Array;
  readonly width: number;
  readonly count: number;
  /** [count], mean 0 and deviation 1. */
  readonly targets: Float32Array;
  /** What each place of a row means. */
  readonly labels: readonly string[];
}

export interface ModelContext {
  readonly engine: Engine;
  readonly seed: number;
  readonly loss: Loss;
  readonly signal?: AbortSignal;
}

export interface Model {
  /** Targets of scaled rows, row-major [count, width]. */
  predict(rows: Float32Array, count: number): Promise<RowPredictions>;
  /** Names must not begin with `input.`. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly settings: Readonly<Record<string, number | string>>;
  dispose(): Promise<void>;
}

export interface StoredModel {
  readonly width: number;
  readonly settings: Readonly<Record<string, number | string>>;
  /** Throws UserError where it is missing or of another shape. */
  readonly tensor: (name: string, shape: readonly number[]) => Float32Array;
  readonly has: (name: string) => boolean;
}

export interface ModelSpec {
  readonly name: string;
  readonly description: string;
  readonly variance: boolean;
  /** Default: `squared` alone. */
  readonly losses?: readonly Loss[];
  fit(data: FitData, context: ModelContext): Promise<Model> | Model;
  /** Throws UserError where what is stored is not one of its models. */
  restore(stored: StoredModel, context: { readonly engine: Engine }): Model;
}

const targetKeys = ['targetScale', 'targetMean', 'targetDeviation'];
const targetSchema = z.looseObject({
  targetScale: z.enum(TARGET_SCALES),
  targetMean: z.number(),
  targetDeviation: z.number().nonnegative(),
});

interface Fitted {
  readonly inputs: InputScaling;
  readonly targets: TargetTransform;
  /** Absent where all accuracies were equal. */
  readonly model?: Model;
}

export function definePredictor(spec: ModelSpec): PredictorDefinition {
  const { name, description, variance, losses = ['squared'] } = spec;
  return {
    name,
    description,
    variance,
    losses,

    async fit(samples, context) {
      checkSamples(samples);
      const { encoder, engine, seed, signal, target = 'log-error', loss = 'squared' } = context;
      if (!losses.includes(loss)) {
        throw new UserError(
          `Cannot fit accuracy predictor "${name}": its loss must be one of ${losses.join(', ')}: current value is "${loss}"`,
        );
      }
      const { labels } = encoder;
      const width = labels.length;
      const rows = encodeRows(
        encoder,
        samples.map(({ architecture }) => architecture),
      );
      checkRows(rows, labels);
      const inputs = fitInputs(rows, width);
      scaleInputs(rows, inputs);
      const accuracies = samples.map(({ top1 }) => top1);
      const targets = fitTargets(target, accuracies);
      if (targets.deviation === 0) return assemble(spec, { inputs, targets }, context);
      const data = {
        rows,
        width,
        count: samples.length,
        targets: Float32Array.from(accuracies, (top1) => toTarget(targets, top1)),
        labels,
      };
      const own = { engine, seed, loss, ...(signal === undefined ? {} : { signal }) };
      return assemble(spec, { inputs, targets, model: await spec.fit(data, own) }, context);
    },

    restore(state, context) {
      const where = `the state of accuracy predictor "${name}"`;
      const { targetScale, targetMean, targetDeviation } = validate(state.settings, targetSchema, where);
      const settings = Object.fromEntries(
        Object.entries(state.settings).filter(([key]) => !targetKeys.includes(key)),
      );
      const width = context.encoder.labels.length;
      const read = (tensorName: string, shape: readonly number[]): Float32Array =>
        stateTensor(state, name, tensorName, shape);
      const inputs = { offset: read('input.offset', [width]), factor: read('input.factor', [width]) };
      const targets = { scale: targetScale, mean: targetMean, deviation: targetDeviation };
      if (targetDeviation === 0) return assemble(spec, { inputs, targets }, context);
      const stored = { width, settings, tensor: read, has: (key: string) => state.tensors.has(key) };
      return assemble(spec, { inputs, targets, model: spec.restore(stored, context) }, context);
    },
  };
}

/** Throws UserError naming the place of a vector that is not finite. */
function checkRows(rows: Float32Array, labels: readonly string[]): void {
  const at = rows.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return;
  throw new UserError(
    `Cannot fit an accuracy predictor: vectors must be finite: "${labels[at % labels.length]!}" of sample ${Math.floor(at / labels.length) + 1} is ${rows[at]!}`,
  );
}

function assemble<A>(
  { name, variance }: ModelSpec,
  { inputs, targets, model }: Fitted,
  { encoder }: PredictorContext<A>,
): AccuracyPredictor<A> {
  const width = encoder.labels.length;

  /** Scales `rows` in place. */
  const predictOwn = async (rows: Float32Array): Promise<RowPredictions> => {
    const count = rows.length / width;
    if (model === undefined) {
      const mean = new Float64Array(count).fill(fromTarget(targets, 0));
      return variance ? { mean, variance: new Float64Array(count) } : { mean };
    }
    const raw = await model.predict(scaleInputs(rows, inputs), count);
    const mean = raw.mean.map((value) => fromTarget(targets, value));
    if (raw.variance === undefined) return { mean };
    return { mean, variance: raw.variance.map((v, i) => v * targetSlope(targets, raw.mean[i]!) ** 2) };
  };

  return {
    name,
    labels: encoder.labels,
    async predict(archs) {
      const { mean, variance: variances } = await predictOwn(encodeRows(encoder, archs));
      return Array.from(mean, (value, i) =>
        variances === undefined ? { mean: value } : { mean: value, variance: variances[i]! },
      );
    },
    predictRows(rows) {
      if (rows.length % width !== 0) {
        throw new RangeError(
          `Cannot predict accuracies: rows of ${width} values are wanted: there are ${rows.length} values`,
        );
      }
      return predictOwn(rows.slice());
    },
    state: (): PredictorState => ({
      tensors: new Map([
        ['input.offset', tensor([width], inputs.offset)],
        ['input.factor', tensor([width], inputs.factor)],
        ...(model?.tensors ?? []),
      ]),
      settings: {
        ...model?.settings,
        targetScale: targets.scale,
        targetMean: targets.mean,
        targetDeviation: targets.deviation,
      },
    }),
    dispose: () => model?.dispose() ?? Promise.resolve(),
  };
}
