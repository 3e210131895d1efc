/** `ofa train`: a data set, a space and a schedule become a supernet. */
import { parseDatasetSpec } from '../data/index.js';
import type { DatasetSource, OnCorrupt } from '../data/dataset.js';
import type { SearchSpace } from '../space/space.js';
import type { EvaluationSettings } from '../training/evaluator.js';
import type { Schedule } from '../training/schedule.js';
import { trainSupernet, type TrainingResult } from '../training/trainer.js';
import type { Logger } from '../util/logger.js';
import { createEvaluator, openLoader } from './run.js';
import { createRuntime } from './runtime.js';

export interface TrainRequest {
  readonly space: SearchSpace;
  readonly data: string | DatasetSource;
  readonly schedule: Schedule;
  /** Run folder; a run that is there goes on. */
  readonly folder: string;
  readonly seed: number;
  readonly epochsScale?: number;
  readonly threads?: number;
  /** Threads that prepare batches. Default 1. */
  readonly workers?: number;
  /** Overrides what `data` says. */
  readonly onCorrupt?: OnCorrupt;
  readonly validateEveryEpochs?: number;
  readonly evaluation?: Partial<EvaluationSettings>;
  readonly logger: Logger;
  readonly signal?: AbortSignal;
}

export interface TrainedSupernet extends TrainingResult {
  /** Names of the images that this call left out, as they cannot be decoded. */
  readonly skippedImages: readonly string[];
}

/** Throws UserError for data that do not fit the space or a folder with another run, InterruptedError on `signal`. */
export async function train(request: TrainRequest): Promise<TrainedSupernet> {
  const { space, schedule, folder, seed, logger, signal, threads, workers, evaluation } = request;
  const source = typeof request.data === 'string' ? parseDatasetSpec(request.data) : request.data;
  const loader = await openLoader(space, source, {
    batchSize: schedule.batchSize,
    seed,
    logger,
    ...(workers === undefined ? {} : { workers }),
    onCorrupt: request.onCorrupt,
  });
  const runtime = await createRuntime(threads === undefined ? {} : { threads });
  try {
    const result = await trainSupernet({
      space,
      loader,
      schedule,
      executor: runtime.executor,
      folder,
      seed,
      logger,
      ...(signal === undefined ? {} : { signal }),
      ...(request.epochsScale === undefined ? {} : { epochsScale: request.epochsScale }),
      ...(request.validateEveryEpochs === undefined
        ? {}
        : { validateEveryEpochs: request.validateEveryEpochs }),
      validate: (weights) => {
        const evaluator = createEvaluator({ space, weights }, loader, runtime, evaluation);
        return (arch) => evaluator.evaluate(arch, 'validation');
      },
    });
    return { ...result, skippedImages: loader.skipped };
  } finally {
    await loader.close();
    await runtime.dispose();
  }
}
