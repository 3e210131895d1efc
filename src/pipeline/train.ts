/** `ofa train`: a data set, a space and a schedule become a supernet. */
import { parseDatasetSpec } from '../data/index.js';
import type { DatasetSource, OnCorrupt } from '../data/dataset.js';
import type { Loader } from '../data/loader.js';
import type { SearchSpace } from '../space/space.js';
import type { SupernetWeights } from '../supernet/weights.js';
import type { EvaluationSettings } from '../training/evaluator.js';
import type { Schedule } from '../training/schedule.js';
import { trainSupernet, type TrainingResult } from '../training/trainer.js';
import type { Logger } from '../util/logger.js';
import type { EngineName } from './engineName.js';
import { openInitialWeights } from './init.js';
import { createEvaluator, openLoader } from './run.js';
import { createRuntime, type Runtime } from './runtime.js';

export interface TrainSettings {
  readonly space: SearchSpace;
  readonly schedule: Schedule;
  /** Run folder; a run that is there goes on. */
  readonly folder: string;
  readonly seed: number;
  readonly epochsScale?: number;
  readonly validateEveryEpochs?: number;
  readonly evaluation?: Partial<EvaluationSettings>;
  readonly logger: Logger;
  readonly signal?: AbortSignal;
}

export interface TrainRequest extends TrainSettings {
  readonly data: string | DatasetSource;
  /** A run, or a safetensors file, whose weights training starts from. Default: initialised from the seed. */
  readonly init?: string;
  /** Default `onnxruntime`. */
  readonly engine?: EngineName;
  readonly threads?: number;
  /** Threads that prepare batches. Default 1. */
  readonly workers?: number;
  /** Overrides what `data` says. */
  readonly onCorrupt?: OnCorrupt;
}

export interface TrainedSupernet extends TrainingResult {
  /** Names of the images that this call left out, as they cannot be decoded. */
  readonly skippedImages: readonly string[];
}

/**
 * Throws UserError for data or first weights that do not fit the space or a folder with another run, InterruptedError on
 * `signal`.
 */
export async function train(request: TrainRequest): Promise<TrainedSupernet> {
  const { space, schedule, seed, logger, engine, threads, workers } = request;
  const source = typeof request.data === 'string' ? parseDatasetSpec(request.data) : request.data;
  const initial =
    request.init === undefined ? undefined : await openInitialWeights(space, request.init, seed);
  if (initial?.newHead === true)
    logger.info(`The classifier begins anew: ${request.init!} has another number of classes`);
  // First, as it may be missing, and a loader that nobody closes keeps its threads.
  const runtime = await createRuntime({
    logger,
    ...(engine === undefined ? {} : { engine }),
    ...(threads === undefined ? {} : { threads }),
  });
  const loader = await openLoader(space, source, {
    batchSize: schedule.batchSize,
    seed,
    logger,
    ...(workers === undefined ? {} : { workers }),
    onCorrupt: request.onCorrupt,
  });
  try {
    const result = await trainWith(request, loader, runtime, initial);
    return { ...result, skippedImages: loader.skipped };
  } finally {
    await loader.close();
    await runtime.dispose();
  }
}

/** Trains, or goes on, validating with the runtime's engines. */
export function trainWith(
  settings: TrainSettings,
  loader: Loader,
  runtime: Runtime,
  initial?: { readonly weights: SupernetWeights; readonly sha256: string },
): Promise<TrainingResult> {
  const { space, schedule, folder, seed, epochsScale, validateEveryEpochs, evaluation, logger, signal } =
    settings;
  return trainSupernet({
    space,
    loader,
    schedule,
    executor: runtime.executor,
    folder,
    seed,
    logger,
    ...(signal === undefined ? {} : { signal }),
    ...(epochsScale === undefined ? {} : { epochsScale }),
    ...(validateEveryEpochs === undefined ? {} : { validateEveryEpochs }),
    ...(initial === undefined
      ? {}
      : { initialWeights: initial.weights, initialWeightsSha256: initial.sha256 }),
    validate: (weights) => {
      const evaluator = createEvaluator({ space, weights }, loader, runtime, evaluation);
      return (arch) => evaluator.evaluate(arch, 'validation');
    },
  });
}
