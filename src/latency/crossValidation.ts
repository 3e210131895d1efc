/** A predictor's error and interval, from examples that were left out of the fit: the same way for every predictor. */
import { z } from 'zod';
import { createRandom } from '../util/random.js';
import { studentWithin } from '../util/studentT.js';
import { validate } from '../util/files.js';
import type { PredictorContext } from './context.js';
import type { LatencyExample, LatencyModel, LatencyPredictor, PredictorDefinition } from './predictor.js';

/** Fits for `n` examples: few examples are left out one by one. */
const foldCount = (n: number): number => (n <= 20 ? n : n <= 500 ? 10 : 5);

const stateSchema = z.strictObject({
  model: z.unknown(),
  crossValidatedMape: z.number().nonnegative().nullable(),
  /** Half-width of the 90 % interval, as a share of the prediction. */
  relativeWidth: z.number().nonnegative().nullable(),
});
type State = z.infer<typeof stateSchema>;

/**
 * Relative half-width that covers a new network with 90 % probability, from errors relative to predictions made without
 * the network in question: the ceil(0.9 (n + 1))-th smallest (cross-conformal: Vovk, "Cross-conformal predictors",
 * 2015; Barber et al., "Predictive inference with the jackknife+", 2021, in the form that keeps one model in place of
 * one a fold). For n < 9 the largest, which covers n / (n + 1).
 */
export function intervalWidth(predictedMs: readonly number[], measuredMs: readonly number[]): number | null {
  const n = measuredMs.length;
  if (n === 0) return null;
  const errors = measuredMs.map((measured, i) => Math.abs(measured / predictedMs[i]! - 1));
  errors.sort((a, b) => a - b);
  return errors[Math.min(n, Math.ceil(0.9 * (n + 1))) - 1]!;
}

/** Fewer examples than that are few: single ones decide about quantiles, and chance about which predictor is best. */
export const FEW_EXAMPLES = 40;

/**
 * As `intervalWidth`, also from few examples: their second or third largest error says little, all of them together more.
 * So it is that of normal errors whose variance the left-out errors tell (Student's t, for a prediction).
 */
export function relativeWidth(predictedMs: readonly number[], measuredMs: readonly number[]): number | null {
  const n = measuredMs.length;
  if (n < 2 || n >= FEW_EXAMPLES) return intervalWidth(predictedMs, measuredMs);
  const meanSquare =
    measuredMs.reduce((sum, measured, i) => sum + (measured / predictedMs[i]! - 1) ** 2, 0) / n;
  return studentWithin(0.9, n - 1) * Math.sqrt(meanSquare * (1 + 1 / n));
}

/**
 * What the definition predicts for each example when fitted without it, in order. Folds are the same for every
 * definition. Throws what the definition's `fit` throws.
 */
export function crossPredictions(
  definition: PredictorDefinition,
  examples: readonly LatencyExample[],
  context: PredictorContext,
): number[] {
  const n = examples.length;
  const folds = foldCount(n);
  const order = createRandom('folds of a latency predictor', n).shuffle(examples.map((_, i) => i));
  const predicted = new Array<number>(n);
  for (let fold = 0; fold < folds; fold++) {
    const left = new Set(order.filter((_, position) => position % folds === fold));
    const model = definition.fit(
      examples.filter((_, i) => !left.has(i)),
      context,
    );
    for (const i of left) predicted[i] = model.predictMs(examples[i]!.architecture);
  }
  return predicted;
}

function withError(
  name: string,
  model: LatencyModel,
  { crossValidatedMape, relativeWidth }: Omit<State, 'model'>,
): LatencyPredictor {
  return {
    name,
    crossValidatedMape,
    predict(arch) {
      const latencyMs = model.predictMs(arch);
      const intervalMs =
        relativeWidth === null
          ? null
          : ([Math.max(0, latencyMs * (1 - relativeWidth)), latencyMs * (1 + relativeWidth)] as const);
      return { latencyMs, intervalMs };
    },
    state: (): State => ({ model: model.state(), crossValidatedMape, relativeWidth }),
  };
}

/** A predictor and what it got wrong: percent of each example, in order, predicted by a fit without it. */
export interface JudgedPredictor {
  readonly predictor: LatencyPredictor;
  readonly leftOutErrors: readonly number[];
}

/** Fits on all examples, and on all but some to know its error. Throws RangeError for fewer than `minExamples`. */
export function judgePredictor(
  definition: PredictorDefinition,
  examples: readonly LatencyExample[],
  context: PredictorContext,
): JudgedPredictor {
  const model = definition.fit(examples, context);
  const measured = examples.map(({ latencyMs }) => latencyMs);
  const predicted = crossPredictions(definition, examples, context);
  const leftOutErrors = measured.map((ms, i) => (100 * Math.abs(predicted[i]! - ms)) / ms);
  const predictor = withError(definition.name, model, {
    crossValidatedMape:
      leftOutErrors.length === 0
        ? null
        : leftOutErrors.reduce((sum, error) => sum + error, 0) / leftOutErrors.length,
    relativeWidth: relativeWidth(predicted, measured),
  });
  return { predictor, leftOutErrors };
}

/** As `judgePredictor`. */
export function fitPredictor(
  definition: PredictorDefinition,
  examples: readonly LatencyExample[],
  context: PredictorContext,
): LatencyPredictor {
  return judgePredictor(definition, examples, context).predictor;
}

/** Throws UserError where `state` is not one of this definition's. */
export function restorePredictor(
  definition: PredictorDefinition,
  state: unknown,
  context: PredictorContext,
): LatencyPredictor {
  const { model, ...error } = validate(
    state,
    stateSchema,
    `the state of latency predictor "${definition.name}"`,
  );
  return withError(definition.name, definition.restore(model, context), error);
}
