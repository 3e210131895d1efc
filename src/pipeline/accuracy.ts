/** `ofa accuracy sample` and `fit`: measured accuracies of subnets become a predictor. */
import { existsSync } from 'node:fs';
import { sampleAccuracies, readAccuracies, type AccuracyRecord } from '../accuracy/dataset.js';
import { createEncoder } from '../accuracy/encoding.js';
import { choosePredictor, fitAndEvaluate, type PredictorScore } from '../accuracy/evaluate.js';
import { accuracyFunction, type AccuracyPredictor } from '../accuracy/predictor.js';
import { loadPredictor, savePredictor } from '../accuracy/predictorFile.js';
import { accuracyPredictorByName } from '../accuracy/predictors/index.js';
import type { Engine } from '../engine/engine.js';
import type { Split } from '../data/dataset.js';
import type { SubnetEvaluator } from '../training/evaluator.js';
import { UserError } from '../util/errors.js';
import type { Logger } from '../util/logger.js';
import { runFiles, type SupernetRun } from './run.js';

/** Shares of the images whose accuracy is kept: what evaluations on fewer images would have said. */
const LEARNING_CURVE = [1 / 8, 1 / 4, 1 / 2];

export interface SampleRequest {
  readonly run: SupernetRun;
  readonly evaluator: SubnetEvaluator;
  readonly count: number;
  readonly seed: number;
  readonly split?: Split;
  readonly logger: Logger;
  readonly signal?: AbortSignal;
}

/** Goes on where an interrupted call ended. Throws as `sampleAccuracies`. */
export function sampleRunAccuracies({
  run,
  evaluator,
  count,
  seed,
  split = 'validation',
  logger,
  signal,
}: SampleRequest): Promise<AccuracyRecord[]> {
  return sampleAccuracies({
    space: run.space,
    count,
    evaluate: (arch) => evaluator.evaluate(arch, split, { shares: LEARNING_CURVE }),
    file: runFiles(run.folder).accuracies,
    seed,
    split,
    weightsSha256: run.weightsSha256,
    logger,
    ...(signal === undefined ? {} : { signal }),
  });
}

export interface FitRequest {
  readonly run: SupernetRun;
  readonly engine: Engine;
  /** Name of a predictor, or `auto`: the best by cross-validation on the samples it is fitted on. */
  readonly predictor: string;
  readonly encoding?: string;
  /** Samples put aside to judge it on. */
  readonly heldOut: number;
  readonly seed: number;
  readonly signal?: AbortSignal;
}

export interface FittedAccuracy {
  readonly predictor: AccuracyPredictor;
  readonly score: PredictorScore;
  /** Of the samples put aside; fractions. */
  readonly points: readonly { readonly predictedTop1: number; readonly measuredTop1: number }[];
  readonly file: string;
}

/** Fits on the run's measured accuracies and saves the predictor there. Throws UserError where there are too few. */
export async function fitAccuracy({
  run,
  engine,
  predictor: name,
  encoding = 'one-hot',
  heldOut,
  seed,
  signal,
}: FitRequest): Promise<FittedAccuracy> {
  const { space, folder, weightsSha256 } = run;
  const { accuracies, accuracyPredictor: file } = runFiles(folder);
  const records = await readAccuracies(accuracies, space);
  const stale = records.find((record) => record.weightsSha256 !== weightsSha256);
  if (stale !== undefined) {
    throw new UserError(
      `Cannot fit a predictor on ${accuracies}: it holds accuracies of other weights than the supernet's; delete it and sample again`,
    );
  }
  const context = {
    encoder: createEncoder(encoding, space),
    engine,
    seed,
    ...(signal === undefined ? {} : { signal }),
  };
  // `auto` compares on what the predictor will be fitted on, so that the samples put aside judge an unseen choice.
  const choose = async () => {
    if (name !== 'auto') return accuracyPredictorByName(name);
    const training = records.slice(0, Math.max(1, records.length - heldOut));
    return (await choosePredictor(training, context)).definition;
  };
  const { predictor, score, heldOut: test } = await fitAndEvaluate(await choose(), records, heldOut, context);
  const predicted = await accuracyFunction(predictor)(test.map(({ architecture }) => architecture));
  await savePredictor(file, predictor, space, encoding);
  const points = test.map(({ top1 }, i) => ({ predictedTop1: predicted[i]!, measuredTop1: top1 }));
  return { predictor, score, points, file };
}

/** The run's fitted predictor. Throws UserError where there is none. */
export async function openAccuracyPredictor(
  { folder, space }: SupernetRun,
  engine: Engine,
): Promise<AccuracyPredictor> {
  const { accuracyPredictor } = runFiles(folder);
  if (!existsSync(accuracyPredictor)) {
    throw new UserError(
      `Cannot predict accuracies of ${folder}: no predictor was fitted; run "ofa accuracy sample --supernet ${folder} --count 250" and "ofa accuracy fit --supernet ${folder}"`,
    );
  }
  return loadPredictor(accuracyPredictor, space, engine);
}
