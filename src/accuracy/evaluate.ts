/** How good predictors are, judged on samples that they were not fitted on. */
import { createRandom } from '../util/random.js';
import { kendallTauB, spearmanRho } from '../util/statistics.js';
import { UserError } from '../util/errors.js';
import { accuracyPredictors } from './predictors/index.js';
import {
  accuracyFunction,
  checkSamples,
  type AccuracyPredictor,
  type AccuracySample,
  type FitContext,
  type PredictorDefinition,
} from './predictor.js';

export interface PredictorScore {
  /** Root of the mean square error, in points of accuracy (0.5: half a percent of the images). */
  readonly rmse: number;
  /** Tau-b; 0 where either list is constant, as such predictions rank nothing. */
  readonly kendallTau: number;
  /** Spearman's rho; 0 likewise. */
  readonly spearman: number;
  /** Samples it was judged on. */
  readonly n: number;
}

/** Fractions against fractions. Throws RangeError for empty lists, or ones of unequal length. */
export function scorePredictions(predicted: readonly number[], measured: readonly number[]): PredictorScore {
  const n = measured.length;
  if (n === 0 || predicted.length !== n) {
    throw new RangeError(
      `Cannot judge predictions: lists of equal length are wanted: they have ${predicted.length} and ${n} values`,
    );
  }
  const square = measured.reduce((sum, value, i) => sum + (predicted[i]! - value) ** 2, 0) / n;
  const orZero = (value: number): number => (Number.isFinite(value) ? value : 0);
  return {
    rmse: 100 * Math.sqrt(square),
    kendallTau: orZero(kendallTauB(predicted, measured)),
    spearman: orZero(spearmanRho(predicted, measured)),
    n,
  };
}

const accuracies = (samples: readonly AccuracySample<unknown>[]): number[] => samples.map(({ top1 }) => top1);

/** Fits on `training`, predicts `test`, and frees the predictor. */
async function predictHeldOut<A>(
  definition: PredictorDefinition,
  training: readonly AccuracySample<A>[],
  test: readonly AccuracySample<A>[],
  context: FitContext<A>,
): Promise<number[]> {
  const predictor = await definition.fit(training, context);
  try {
    return await accuracyFunction(predictor)(test.map(({ architecture }) => architecture));
  } finally {
    await predictor.dispose();
  }
}

export interface HeldOutEvaluation<A> {
  readonly predictor: AccuracyPredictor<A>;
  readonly score: PredictorScore;
  readonly training: readonly AccuracySample<A>[];
  readonly heldOut: readonly AccuracySample<A>[];
}

/**
 * Puts `heldOut` samples aside, drawn by the context's seed, fits on the others and judges on those put aside. Samples must
 * be distinct networks. Throws UserError where nothing would be left to fit or to judge on.
 */
export async function fitAndEvaluate<A>(
  definition: PredictorDefinition,
  samples: readonly AccuracySample<A>[],
  heldOut: number,
  context: FitContext<A>,
): Promise<HeldOutEvaluation<A>> {
  checkSamples(samples);
  if (!Number.isInteger(heldOut) || heldOut < 1 || heldOut >= samples.length) {
    throw new UserError(
      `Cannot judge the accuracy predictor: samples held out must be from 1 to ${samples.length - 1}: current value is ${heldOut}`,
    );
  }
  const shuffled = createRandom(context.seed, 'held-out').shuffle(samples);
  const test = shuffled.slice(0, heldOut);
  const training = shuffled.slice(heldOut);
  const predictor = await definition.fit(training, context);
  const predicted = await accuracyFunction(predictor)(test.map(({ architecture }) => architecture));
  return { predictor, score: scorePredictions(predicted, accuracies(test)), training, heldOut: test };
}

/**
 * Each sample predicted by a fit without its fold; folds are drawn by the context's seed. Throws RangeError for fewer
 * samples than folds, or fewer than two folds.
 */
export async function crossValidate<A>(
  definition: PredictorDefinition,
  samples: readonly AccuracySample<A>[],
  folds: number,
  context: FitContext<A>,
): Promise<PredictorScore> {
  if (folds < 2 || samples.length < folds) {
    throw new RangeError(
      `Cannot cross-validate: at least two folds, and a sample for each, are wanted: there are ${folds} folds and ${samples.length} samples`,
    );
  }
  const shuffled = createRandom(context.seed, 'folds').shuffle(samples);
  const predicted: number[] = [];
  const measured: number[] = [];
  for (let fold = 0; fold < folds; fold++) {
    const test = shuffled.filter((_, i) => i % folds === fold);
    const training = shuffled.filter((_, i) => i % folds !== fold);
    predicted.push(...(await predictHeldOut(definition, training, test, context)));
    measured.push(...accuracies(test));
  }
  return scorePredictions(predicted, measured);
}

/** With fewer samples a comparison says nothing, and the simplest predictor is taken. */
export const FEWEST_TO_CHOOSE = 10;
const FOLDS = 3;

export interface ChosenPredictor {
  readonly definition: PredictorDefinition;
  /** By cross-validation, best Kendall tau first; empty for fewer than `FEWEST_TO_CHOOSE` samples. */
  readonly scores: readonly { readonly name: string; readonly score: PredictorScore }[];
}

/** What `auto` means: the predictor with the best Kendall tau in a threefold cross-validation. Throws UserError as `fit`. */
export async function choosePredictor<A>(
  samples: readonly AccuracySample<A>[],
  context: FitContext<A>,
): Promise<ChosenPredictor> {
  checkSamples(samples);
  const definitions = [...accuracyPredictors.values()];
  if (samples.length < FEWEST_TO_CHOOSE) return { definition: definitions[0]!, scores: [] };
  const judged: { definition: PredictorDefinition; score: PredictorScore }[] = [];
  for (const definition of definitions) {
    judged.push({ definition, score: await crossValidate(definition, samples, FOLDS, context) });
  }
  judged.sort((a, b) => b.score.kendallTau - a.score.kendallTau);
  return {
    definition: judged[0]!.definition,
    scores: judged.map(({ definition: { name }, score }) => ({ name, score })),
  };
}
