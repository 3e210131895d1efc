/** How good predictors are, judged on samples that they were not fitted on. */
import { createRandom } from '../util/random.js';
import { kendallTauB, spearmanRho } from '../util/statistics.js';
import { UserError } from '../util/errors.js';
import { silentLogger, type Logger } from '../util/logger.js';
import { accuracyPredictors } from './predictors/index.js';
import {
  accuracyFunction,
  checkSamples,
  type AccuracyPredictor,
  type AccuracySample,
  type FitContext,
  type PredictorDefinition,
  type VectorEncoder,
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
 * Samples put aside, drawn by the seed, and the others. Samples must be distinct networks. Throws UserError where nothing
 * would be left to fit or to judge on.
 */
export function splitHeldOut<A>(
  samples: readonly AccuracySample<A>[],
  heldOut: number,
  seed: number,
): { readonly training: AccuracySample<A>[]; readonly heldOut: AccuracySample<A>[] } {
  checkSamples(samples);
  if (!Number.isInteger(heldOut) || heldOut < 1 || heldOut >= samples.length) {
    throw new UserError(
      `Cannot judge the accuracy predictor: samples held out must be from 1 to ${samples.length - 1}: current value is ${heldOut}`,
    );
  }
  const shuffled = createRandom(seed, 'held-out').shuffle(samples);
  return { training: shuffled.slice(heldOut), heldOut: shuffled.slice(0, heldOut) };
}

/** Puts samples aside (`splitHeldOut` with the context's seed), fits on the others and judges on those put aside. */
export async function fitAndEvaluate<A>(
  definition: PredictorDefinition,
  samples: readonly AccuracySample<A>[],
  heldOut: number,
  context: FitContext<A>,
): Promise<HeldOutEvaluation<A>> {
  const { training, heldOut: test } = splitHeldOut(samples, heldOut, context.seed);
  const predictor = await definition.fit(training, context);
  const predicted = await accuracyFunction(predictor)(test.map(({ architecture }) => architecture));
  return { predictor, score: scorePredictions(predicted, accuracies(test)), training, heldOut: test };
}

interface Fold<A> {
  readonly training: readonly AccuracySample<A>[];
  readonly test: readonly AccuracySample<A>[];
}

/** Drawn by the seed. Throws RangeError for fewer samples than folds, or fewer than two folds. */
function drawFolds<A>(samples: readonly AccuracySample<A>[], folds: number, seed: number): Fold<A>[] {
  if (folds < 2 || samples.length < folds) {
    throw new RangeError(
      `Cannot cross-validate: at least two folds, and a sample for each, are wanted: there are ${folds} folds and ${samples.length} samples`,
    );
  }
  const shuffled = createRandom(seed, 'folds').shuffle(samples);
  return Array.from({ length: folds }, (_, fold) => ({
    training: shuffled.filter((__, i) => i % folds !== fold),
    test: shuffled.filter((__, i) => i % folds === fold),
  }));
}

/**
 * Each sample, in the order of the list, as a fit without its fold predicts it; folds are drawn by the context's seed. Throws
 * RangeError for fewer samples than folds, or fewer than two folds.
 */
export async function predictOutOfFold<A>(
  definition: PredictorDefinition,
  samples: readonly AccuracySample<A>[],
  folds: number,
  context: FitContext<A>,
): Promise<number[]> {
  const predictions = new Map<AccuracySample<A>, number>();
  for (const { training, test } of drawFolds(samples, folds, context.seed)) {
    const predicted = await predictHeldOut(definition, training, test, context);
    test.forEach((sample, i) => predictions.set(sample, predicted[i]!));
  }
  return samples.map((sample) => predictions.get(sample)!);
}

/** What predictions out of fold (`predictOutOfFold`) are worth. Throws as it. */
export async function crossValidate<A>(
  definition: PredictorDefinition,
  samples: readonly AccuracySample<A>[],
  folds: number,
  context: FitContext<A>,
): Promise<PredictorScore> {
  const predicted = await predictOutOfFold(definition, samples, folds, context);
  return scorePredictions(predicted, accuracies(samples));
}

/** With fewer samples a comparison says nothing, and the simplest predictor is taken. */
export const FEWEST_TO_CHOOSE = 10;
const FOLDS = 3;
/** Candidates that are judged on more than the first fold. */
const FINALISTS = 4;

/** A predictor with an encoding. */
export interface PredictorCandidate {
  readonly definition: PredictorDefinition;
  readonly encoding: string;
}

export interface JudgedCandidate extends PredictorCandidate {
  /** On all samples for the finalists, on those of the first fold for others. */
  readonly score: PredictorScore;
}

export interface ChooseOptions<A> {
  /** By name, simple ones first. */
  readonly encoders: ReadonlyMap<string, VectorEncoder<A>>;
  /** Default: all that have the context's loss. */
  readonly definitions?: readonly PredictorDefinition[];
  readonly logger?: Logger;
}

export interface ChosenPredictor extends PredictorCandidate {
  /** Best Kendall tau first, finalists before others; empty where nothing was compared. */
  readonly scores: readonly JudgedCandidate[];
}

/**
 * What `auto` means: of all predictors with all encodings the one with the best Kendall tau in a threefold
 * cross-validation; after the first fold only the best four go on. Fewer samples than `FEWEST_TO_CHOOSE`, or only equal
 * accuracies, say nothing: the first is taken. Throws UserError as `fit`, and where no predictor has the loss.
 */
export async function choosePredictor<A>(
  samples: readonly AccuracySample<A>[],
  context: Omit<FitContext<A>, 'encoder'>,
  { encoders, definitions, logger = silentLogger }: ChooseOptions<A>,
): Promise<ChosenPredictor> {
  checkSamples(samples);
  const { loss = 'squared' } = context;
  const able = definitions ?? [...accuracyPredictors.values()].filter(({ losses }) => losses.includes(loss));
  const candidates = [...encoders].flatMap(([encoding, encoder]) =>
    able.map((definition) => ({ definition, encoding, encoder })),
  );
  const [simplest] = candidates;
  if (simplest === undefined)
    throw new UserError(`Cannot choose an accuracy predictor: none can be fitted to the loss "${loss}"`);
  const { definition, encoding } = simplest;
  const flat = samples.every(({ top1 }) => top1 === samples[0]!.top1);
  if (candidates.length === 1 || flat || samples.length < FEWEST_TO_CHOOSE)
    return { definition, encoding, scores: [] };

  const progress = logger.progress('Predictors', candidates.length + FINALISTS * (FOLDS - 1));
  let fits = 0;
  const [first, ...others] = drawFolds(samples, FOLDS, context.seed);
  const judge = async (candidate: (typeof candidates)[number], fold: Fold<A>): Promise<number[]> => {
    const own = { ...context, encoder: candidate.encoder };
    const predicted = await predictHeldOut(candidate.definition, fold.training, fold.test, own);
    progress.update(++fits, `${candidate.definition.name}, ${candidate.encoding}`);
    return predicted;
  };
  const byTau = (a: JudgedCandidate, b: JudgedCandidate): number => b.score.kendallTau - a.score.kendallTau;
  try {
    const heats = [];
    for (const candidate of candidates) {
      const predicted = await judge(candidate, first!);
      heats.push({ ...candidate, predicted, score: scorePredictions(predicted, accuracies(first!.test)) });
    }
    heats.sort(byTau);
    const finals = [];
    for (const { predicted, ...candidate } of heats.slice(0, FINALISTS)) {
      const all = [...predicted];
      for (const fold of others) all.push(...(await judge(candidate, fold)));
      const measured = [first!, ...others].flatMap(({ test }) => accuracies(test));
      finals.push({ ...candidate, score: scorePredictions(all, measured) });
    }
    // Of equals the simpler one: sorting keeps their order.
    finals.sort((a, b) => byTau(a, b) || rank(a) - rank(b));
    const scores = [...finals, ...heats.slice(FINALISTS)].map(
      ({ definition: own, encoding: name, score }) => ({
        definition: own,
        encoding: name,
        score,
      }),
    );
    return { definition: finals[0]!.definition, encoding: finals[0]!.encoding, scores };
  } finally {
    progress.stop();
  }

  function rank({ definition: own, encoding: name }: PredictorCandidate): number {
    return candidates.findIndex((candidate) => candidate.definition === own && candidate.encoding === name);
  }
}
