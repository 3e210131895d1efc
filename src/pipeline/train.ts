/** `ofa train`: a data set, a space and a schedule become a supernet. */
import { parseDatasetSpec } from '../data/index.js';
import type { DatasetOptions, DatasetSource, OnCorrupt } from '../data/dataset.js';
import type { IgnoredFiles } from '../data/ignoredFiles.js';
import type { Loader } from '../data/loader.js';
import { requireVariance } from '../data/variance.js';
import type { SearchSpace } from '../space/space.js';
import type { SupernetWeights } from '../supernet/weights.js';
import type { EvaluationSettings } from '../training/evaluator.js';
import { StepProfiler, type StepObserver, type TrainingProfile } from '../training/profile.js';
import type { Schedule } from '../training/schedule.js';
import { trainSupernet, type TrainingOptions, type TrainingResult } from '../training/trainer.js';
import type { Logger } from '../util/logger.js';
import { formatBytes, peakMemoryBytes } from '../util/memory.js';
import { withFolderLock } from '../util/lock.js';
import { idleStopwatch } from '../util/stopwatch.js';
import type { EngineName, Provider } from './engineName.js';
import { openInitialWeights, type InitialWeights } from './init.js';
import { MemoryGuard, planTrainingMemory, type TrainingMemory } from './memory.js';
import { createEvaluator, fittingBatch, fittingLoader, openData } from './run.js';
import { asBegun, underRuleOf } from './runData.js';
import { createRuntime, type Runtime } from './runtime.js';
import {
  diskWarning,
  estimateLine,
  estimateOpened,
  FEWEST_STEPS_TO_TIME,
  type TrainEstimate,
} from './trainEstimate.js';

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
  /** What ONNX Runtime computes on. Default `cpu`. */
  readonly provider?: Provider;
  readonly threads?: number;
  /** Threads that prepare batches. Default 1. */
  readonly workers?: number;
  /** Of `data` where it is a text, as in `DatasetOptions`. */
  readonly validationFraction?: number;
  /** Overrides what `data` says. */
  readonly onCorrupt?: OnCorrupt;
  /** Ends the call after this many steps, and a few before them that do not count, and says where their time went. */
  readonly profileSteps?: number;
  /** Ends the call after this many steps, saved; the next call goes on. Not together with `profileSteps`. */
  readonly maxSteps?: number;
  /**
   * The whole is estimated before it begins, and told to the logger, and so is what is left: after so many seconds no
   * further kind of phase is timed. Default: no estimate.
   */
  readonly estimateSeconds?: number;
  /** Told where steps begin and end. */
  readonly observer?: Pick<StepObserver, 'beginStep' | 'endStep'>;
  /** Bytes of memory to stay within; refused where that is not estimated to be possible. Default: most of the machine's. */
  readonly maxMemory?: number;
}

export interface TrainedSupernet extends TrainingResult {
  /** Names of the images that this call left out, as they cannot be decoded. */
  readonly skippedImages: readonly string[];
  /** What the data's folder holds beside images that are read, by reason. */
  readonly ignoredFiles: readonly IgnoredFiles[];
  /** With `profileSteps`, where there were steps to train. */
  readonly profile?: TrainingProfile;
  /** The most memory that the process has held, bytes. */
  readonly peakMemoryBytes: number;
}

/** Steps before those that are profiled: enough for caches, threads and memory to be in use. */
const PROFILE_WARMUP_STEPS = 5;

const divided = (validationFraction: number | undefined): DatasetOptions =>
  validationFraction === undefined ? {} : { validationFraction };

/**
 * Throws UserError for data or first weights that do not fit the space, a folder with another run or one that another
 * process writes into; InterruptedError on `signal`.
 */
export function train(request: TrainRequest): Promise<TrainedSupernet> {
  const purpose = { action: 'train in', instead: 'give another --out' };
  return withFolderLock(request.folder, purpose, () => trainAlone(request));
}

/** What the training of a request runs on; `loader` and `runtime` are to be closed. */
interface OpenedTraining {
  /** The request's, with a batch that the images suffice for. */
  readonly schedule: Schedule;
  readonly initial: InitialWeights | undefined;
  readonly memory: TrainingMemory;
  readonly runtime: Runtime;
  readonly loader: Loader;
  readonly evaluation: Partial<EvaluationSettings>;
}

async function withTraining<T>(
  request: TrainRequest,
  profiler: StepProfiler | undefined,
  work: (opened: OpenedTraining) => Promise<T>,
): Promise<T> {
  const { space, seed, logger, engine, provider, threads, workers, maxMemory } = request;
  const data =
    typeof request.data === 'string'
      ? parseDatasetSpec(request.data, divided(request.validationFraction))
      : request.data;
  const source = await underRuleOf(request.folder, data);
  const initial =
    request.init === undefined ? undefined : await openInitialWeights(space, request.init, seed);
  if (initial?.newHead === true)
    logger.info(`The classifier begins anew: ${request.init!} has another number of classes`);
  const dataset = await asBegun(request.folder, await openData(source, request.onCorrupt), logger);
  await requireVariance(dataset);
  const batchSize = fittingBatch(request.schedule.batchSize, dataset, logger);
  const schedule = { ...request.schedule, batchSize };
  const memory = planTrainingMemory({
    space,
    schedule,
    dataset,
    logger,
    ...(request.evaluation === undefined ? {} : { evaluation: request.evaluation }),
    ...(maxMemory === undefined ? {} : { maxMemory }),
  });
  // First, as it may be missing, and a loader that nobody closes keeps its threads.
  const runtime = await createRuntime({
    logger,
    programBytes: Math.max(0, memory.programBytes),
    ...(engine === undefined ? {} : { engine }),
    ...(provider === undefined ? {} : { provider }),
    ...(profiler === undefined ? {} : { profiler }),
    ...(threads === undefined ? {} : { threads }),
  });
  const loader = await fittingLoader(space, dataset, {
    batchSize,
    seed,
    logger,
    cacheBytes: memory.imageBytes,
    ...(workers === undefined ? {} : { workers }),
  });
  try {
    const evaluation = { ...request.evaluation, ...memory.evaluation };
    return await work({ schedule, initial, memory, runtime, loader, evaluation });
  } finally {
    await loader.close();
    await runtime.dispose();
  }
}

function estimateOf(
  { space, folder, seed, epochsScale, validateEveryEpochs, signal }: TrainRequest,
  { schedule, initial, memory, runtime, loader, evaluation }: OpenedTraining,
  budgetSeconds: number,
  fewestSteps: number,
): Promise<TrainEstimate> {
  return estimateOpened(
    {
      space,
      loader,
      schedule,
      executor: runtime.executor,
      folder,
      seed,
      evaluation,
      budgetSeconds,
      memoryBytes: memory.needed,
      wholeNetworks: memory.wholeNetworks,
      ...(epochsScale === undefined ? {} : { epochsScale }),
      ...(validateEveryEpochs === undefined ? {} : { validateEveryEpochs }),
      ...(signal === undefined ? {} : { signal }),
      ...(initial === undefined
        ? {}
        : { initialWeights: initial.weights, initialWeightsSha256: initial.sha256 }),
    },
    fewestSteps,
  );
}

/**
 * What `train` would do and take: time (from a few steps of each kind of phase, computed on copies), disk, memory. Writes
 * nothing, and needs no lock. `budgetSeconds`: after so long no further kind of phase is timed, but estimated from the
 * others. Throws as `train`.
 */
export function estimateTrain(request: TrainRequest, budgetSeconds = 120): Promise<TrainEstimate> {
  return withTraining(request, undefined, (opened) => estimateOf(request, opened, budgetSeconds, 1));
}

/** With the folder's lock. */
async function trainAlone(request: TrainRequest): Promise<TrainedSupernet> {
  const { logger, profileSteps, observer, estimateSeconds, folder } = request;
  const profiler =
    profileSteps === undefined ? undefined : new StepProfiler({ warmupSteps: PROFILE_WARMUP_STEPS });
  const maxSteps = profileSteps === undefined ? request.maxSteps : PROFILE_WARMUP_STEPS + profileSteps;
  return withTraining(request, profiler, async (opened) => {
    const { schedule, initial, memory, runtime, loader, evaluation } = opened;
    const estimate =
      estimateSeconds === undefined
        ? undefined
        : await estimateOf(request, opened, estimateSeconds, FEWEST_STEPS_TO_TIME);
    if (estimate !== undefined) {
      logger.info(`Training: ${estimateLine(estimate)}`);
      const warning = diskWarning(estimate, folder);
      if (warning !== undefined) logger.warn(warning);
    }
    const guard = new MemoryGuard(memory.maxBytes, runtime.programs, logger);
    const result = await trainWith({ ...request, schedule, evaluation }, loader, runtime, initial, {
      wholeNetworks: memory.wholeNetworks,
      observer: {
        stopwatch: profiler?.stopwatch ?? idleStopwatch,
        beginStep: () => {
          profiler?.beginStep();
          observer?.beginStep();
        },
        endStep: (phase) => {
          profiler?.endStep(phase);
          guard.check();
          observer?.endStep(phase);
        },
      },
      ...(estimate === undefined ? {} : { estimate: estimate.phases }),
      ...(maxSteps === undefined ? {} : { maxSteps }),
    });
    const profile = await profiler?.finish(schedule.batchSize);
    const peak = peakMemoryBytes();
    logger.info(
      `Memory: ${formatBytes(peak)} at the most, of ${formatBytes(memory.maxBytes)}; estimated ${formatBytes(memory.needed)} and compiled programs`,
    );
    return {
      ...result,
      skippedImages: loader.skipped,
      ignoredFiles: loader.dataset.ignored,
      ...(profile === undefined ? {} : { profile }),
      peakMemoryBytes: peak,
    };
  });
}

/** Trains, or goes on, validating with the runtime's engines. */
export function trainWith(
  settings: TrainSettings,
  loader: Loader,
  runtime: Runtime,
  initial?: { readonly weights: SupernetWeights; readonly sha256: string },
  part: Pick<TrainingOptions, 'observer' | 'maxSteps' | 'wholeNetworks' | 'estimate'> = {},
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
    ...part,
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
