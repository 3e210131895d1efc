/** `ofa accuracy sample` and `fit`: measured accuracies of subnets become a predictor. */
import { existsSync } from 'node:fs';
import { sampleAccuracies, type AccuracyRecord } from '../accuracy/dataset.js';
import { createEncoder } from '../accuracy/encoding.js';
import {
  choosePredictor,
  fitAndEvaluate,
  predictOutOfFold,
  scorePredictions,
  splitHeldOut,
  type JudgedCandidate,
  type PredictorScore,
} from '../accuracy/evaluate.js';
import {
  accuracyFunction,
  type AccuracyPredictor,
  type FitContext,
  type FitOptions,
  type PredictorDefinition,
} from '../accuracy/predictor.js';
import { savePredictor } from '../accuracy/predictorFile.js';
import { accuracyPredictorByName } from '../accuracy/predictors/index.js';
import {
  accuracySpread,
  scoreStandardErrors,
  spreadDoubt,
  tauDoubt,
  type JudgedPrediction,
  type ScoreStandardErrors,
} from '../accuracy/reliability.js';
import type { Engine } from '../engine/engine.js';
import type { Split } from '../data/dataset.js';
import type { Architecture } from '../space/architecture.js';
import type { SubnetEvaluator } from '../training/evaluator.js';
import type { Score } from '../training/score.js';
import { UserError } from '../util/errors.js';
import { withFolderLock } from '../util/lock.js';
import { silentLogger, type Logger } from '../util/logger.js';
import { accuraciesToFit, openFreshPredictor, ownDataKey, type PredictorUse } from './accuracyData.js';
import { runFiles, type SupernetRun } from './run.js';
import type { RunDataset } from './runData.js';
import type { Runtime } from './runtime.js';
import { FEWEST_FOR_TRYING, openThroughput, plainThroughput } from './throughput.js';

/** Shares of the images whose accuracy is kept: what evaluations on fewer images would have said. */
const LEARNING_CURVE = [1 / 8, 1 / 4, 1 / 2];

export interface SampleRequest {
  readonly run: SupernetRun;
  /** What `evaluator` takes its images from. Default: the run's own data, as it was trained on them. */
  readonly data?: RunDataset;
  readonly evaluator: SubnetEvaluator;
  /** Where it can open lanes, subnets are scored side by side. */
  readonly runtime: Runtime;
  readonly count: number;
  readonly seed: number;
  readonly split?: Split;
  readonly logger: Logger;
  readonly signal?: AbortSignal;
}

/**
 * Goes on where an interrupted call ended. Throws as `sampleAccuracies`, and UserError where another process writes into
 * the run.
 */
export function sampleRunAccuracies(request: SampleRequest): Promise<AccuracyRecord[]> {
  const purpose = { action: 'sample accuracies into', instead: 'stop it' };
  return withFolderLock(request.run.folder, purpose, () => sampleAlone(request));
}

async function sampleAlone(request: SampleRequest): Promise<AccuracyRecord[]> {
  const { run, evaluator, count, seed, split = 'validation', logger, signal } = request;
  const { calibrationImages, calibrationBatch, calibrationSeed } = evaluator.settings;
  const own = await ownDataKey(run, logger);
  const key = (await request.data?.dataKey()) ?? own;
  return sampleAccuracies({
    space: run.space,
    count,
    evaluateAll: (archs, tell) => evaluateTogether(request, archs, split, tell),
    file: runFiles(run.folder).accuracies,
    seed,
    split,
    weightsSha256: run.weightsSha256,
    ...(key === undefined ? {} : { dataSha256: key }),
    ...(own === undefined ? {} : { ownDataSha256: own }),
    calibration: { images: calibrationImages, batch: calibrationBatch, seed: calibrationSeed },
    logger,
    ...(signal === undefined ? {} : { signal }),
  });
}

/** As fast as this machine can, where there are enough subnets to find out how that is. */
async function evaluateTogether(
  { run, evaluator, runtime, logger, signal }: SampleRequest,
  archs: readonly Architecture[],
  split: Split,
  tell: (index: number, score: Score) => Promise<void>,
): Promise<void> {
  const { settings } = evaluator;
  const throughput =
    archs.length < FEWEST_FOR_TRYING
      ? plainThroughput(runtime, settings)
      : await openThroughput({ run, runtime, settings, architecture: archs[0]!, logger });
  try {
    await evaluator.evaluateAll(archs, split, tell, {
      shares: LEARNING_CURVE,
      throughput,
      ...(signal === undefined ? {} : { signal }),
    });
  } finally {
    await throughput.close();
  }
}

/** What `auto` tries, simple ones first: of those left out, ordinal and features alone tell less than these. */
const AUTO_ENCODINGS = ['one-hot', 'combined'];

export interface FitRequest extends FitOptions {
  readonly run: SupernetRun;
  readonly engine: Engine;
  /** That accuracies were measured on, `NAME[:PATH]`. Default: the run's own. */
  readonly data?: string | undefined;
  /**
   * Name of a predictor, or `auto`: the best by cross-validation on the samples it is fitted on. With `heldOut` these are not those
   * that judge it; without, its score is a little too good, as other folds of the same samples chose it.
   */
  readonly predictor: string;
  /** Name of an encoding, or `auto`: chosen with the predictor. */
  readonly encoding?: string;
  /**
   * Samples put aside to judge it on. Default: none; it is fitted on all samples and judged by cross-validation, up to
   * `MOST_TO_CROSS_VALIDATE` samples, above which 50 are put aside.
   */
  readonly heldOut?: number;
  readonly seed: number;
  readonly signal?: AbortSignal;
  readonly logger?: Logger;
}

export interface FittedAccuracy {
  readonly predictor: AccuracyPredictor;
  readonly encoding: string;
  readonly score: PredictorScore;
  readonly standardErrors: ScoreStandardErrors;
  /** What judged it: predictions of each sample by a fit without it, or of samples put aside. */
  readonly judgedBy: 'cross-validation' | 'held-out';
  /** Samples that the predictor was fitted on. */
  readonly fittedOn: number;
  /** Root mean square standard error of the measured accuracies, in points: no predictor can seem to be closer. */
  readonly samplesStandardError: number;
  /** What judged it; fractions. */
  readonly points: readonly JudgedPrediction[];
  /** What was compared, best first; empty where nothing was. */
  readonly compared: readonly JudgedCandidate[];
  readonly file: string;
}

/** With more samples fitting several times takes long, and 50 put aside are few of them. */
export const MOST_TO_CROSS_VALIDATE = 300;
const HELD_OUT = 50;
const FOLDS = 5;

interface Judged {
  readonly predictor: AccuracyPredictor;
  readonly points: readonly JudgedPrediction[];
  readonly fittedOn: number;
}

const judgedPoints = (
  samples: readonly { readonly top1: number }[],
  predicted: readonly number[],
): JudgedPrediction[] => samples.map(({ top1 }, i) => ({ predictedTop1: predicted[i]!, measuredTop1: top1 }));

async function fitOnAll(
  definition: PredictorDefinition,
  records: readonly AccuracyRecord[],
  context: FitContext,
): Promise<Judged> {
  const predicted = await predictOutOfFold(definition, records, FOLDS, context);
  const predictor = await definition.fit(records, context);
  return { predictor, points: judgedPoints(records, predicted), fittedOn: records.length };
}

async function fitOnOthers(
  definition: PredictorDefinition,
  records: readonly AccuracyRecord[],
  heldOut: number,
  context: FitContext,
): Promise<Judged> {
  const fitted = await fitAndEvaluate(definition, records, heldOut, context);
  const { predictor, training, heldOut: test } = fitted;
  const predicted = await accuracyFunction(predictor)(test.map(({ architecture }) => architecture));
  return { predictor, points: judgedPoints(test, predicted), fittedOn: training.length };
}

/** Fits on the run's measured accuracies and saves the predictor there. Throws UserError where there are too few. */
export async function fitAccuracy(request: FitRequest): Promise<FittedAccuracy> {
  const { run, engine, predictor: name, encoding = 'one-hot', seed, signal, target, loss } = request;
  const { logger = silentLogger } = request;
  const { space, folder, weightsSha256 } = run;
  const { accuracies, accuracyPredictor: file } = runFiles(folder);
  const encodings = encoding === 'auto' ? AUTO_ENCODINGS : [encoding];
  const encoders = new Map(encodings.map((one) => [one, createEncoder(one, space)]));
  const definitions = name === 'auto' ? undefined : [accuracyPredictorByName(name)];
  const { records, key } = await accuraciesToFit(run, request.data, logger);
  const context = {
    engine,
    seed,
    ...(signal === undefined ? {} : { signal }),
    ...(target === undefined ? {} : { target }),
    ...(loss === undefined ? {} : { loss }),
  };
  const heldOut = request.heldOut ?? (records.length > MOST_TO_CROSS_VALIDATE ? HELD_OUT : undefined);
  if (heldOut === undefined && records.length > 0 && records.length < FOLDS) {
    throw new UserError(
      `Cannot fit a predictor on ${accuracies}: at least ${FOLDS} accuracies are wanted: it has ${records.length}; measure more with "ofa accuracy sample"`,
    );
  }
  // Compared on what the predictor will be fitted on, so that samples put aside judge an unseen choice.
  const training = heldOut === undefined ? records : splitHeldOut(records, heldOut, seed).training;
  const options = { encoders, logger, ...(definitions === undefined ? {} : { definitions }) };
  const chosen = await choosePredictor(training, context, options);
  const flat = training.every(({ top1 }) => top1 === training[0]!.top1);
  if (flat) {
    logger.warn(
      `All ${training.length} accuracies are equal: every architecture is predicted to have ${training[0]!.top1}`,
    );
  }
  const own = { ...context, encoder: encoders.get(chosen.encoding)! };
  const { predictor, points, fittedOn } = await (heldOut === undefined
    ? fitOnAll(chosen.definition, records, own)
    : fitOnOthers(chosen.definition, records, heldOut, own));
  const score = scorePredictions(
    points.map(({ predictedTop1 }) => predictedTop1),
    points.map(({ measuredTop1 }) => measuredTop1),
  );
  const doubt = flat ? undefined : tauDoubt(score.kendallTau, score.n, records);
  for (const warning of [flat ? undefined : spreadDoubt(records), doubt])
    if (warning !== undefined) logger.warn(warning);
  await savePredictor(file, predictor, space, chosen.encoding, { weightsSha256, dataSha256: key, doubt });
  return {
    predictor,
    encoding: chosen.encoding,
    score,
    standardErrors: scoreStandardErrors(points),
    judgedBy: heldOut === undefined ? 'cross-validation' : 'held-out',
    fittedOn,
    samplesStandardError: 100 * accuracySpread(records).standardError,
    points,
    compared: chosen.scores,
    file,
  };
}

/**
 * The run's fitted predictor. Throws UserError where there is none, and where it was fitted on other weights or data: on
 * accuracies on `use.data`, or on the run's own.
 */
export async function openAccuracyPredictor(
  run: SupernetRun,
  engine: Engine,
  use: PredictorUse = {},
): Promise<AccuracyPredictor> {
  const { folder } = run;
  const { accuracyPredictor } = runFiles(folder);
  if (!existsSync(accuracyPredictor)) {
    throw new UserError(
      `Cannot predict accuracies of ${folder}: no predictor was fitted; run "ofa accuracy sample --supernet ${folder} --count 250" and "ofa accuracy fit --supernet ${folder}"`,
    );
  }
  return openFreshPredictor(run, engine, use);
}
