/**
 * `ofa finetune`: a subnet is cut out of a supernet and trained on by itself, on the supernet's data or on others. It
 * becomes a run of its own, whose space holds that one network: all that works with runs works with it.
 */
import { join } from 'node:path';
import type { DatasetSource, OnCorrupt } from '../data/dataset.js';
import type { IgnoredFiles } from '../data/ignoredFiles.js';
import type { Loader } from '../data/loader.js';
import { requireVariance } from '../data/variance.js';
import { exportSubnet } from '../export/exportSubnet.js';
import type { Verification } from '../export/verify.js';
import { toFile, type Architecture, type ArchitectureFile } from '../space/architecture.js';
import { spaceOfOne } from '../space/space.js';
import { startFrom } from '../supernet/startFrom.js';
import { extractSubnet } from '../supernet/subnet.js';
import type { EvaluationSettings, SubnetEvaluator } from '../training/evaluator.js';
import { scheduleSchema, type Schedule } from '../training/schedule.js';
import { withFolderLock } from '../util/lock.js';
import type { Logger } from '../util/logger.js';
import { fractionStandardError } from '../util/standardError.js';
import type { EngineName, Provider } from './engineName.js';
import { createEvaluator, fittingBatch, fittingLoader, type SupernetRun } from './run.js';
import { asBegun, openDatasetToLearn } from './runData.js';
import type { Runtime } from './runtime.js';
import { trainWith } from './train.js';
import { withLoader, withRuntime } from './withRun.js';

export const FINETUNING = { epochs: 10, learningRate: 0.01, batchSize: 64 } as const;

export interface FinetuneRequest {
  readonly run: SupernetRun;
  readonly arch: Architecture;
  /** Default: what the run was trained on. With other classes the network gets a new classifier. */
  readonly data?: string | DatasetSource;
  /** Run folder of the network; one that is there goes on. */
  readonly folder: string;
  /** Default 10. */
  readonly epochs?: number;
  /** Peak, for a batch of 64 images as in schedules. Default 0.01. */
  readonly learningRate?: number;
  /** Images a step. Default 64. */
  readonly batchSize?: number;
  readonly seed: number;
  /** Default `onnxruntime`, which checks the exported file in any case. */
  readonly engine?: EngineName;
  /** What ONNX Runtime computes on. Default `cpu`. */
  readonly provider?: Provider;
  readonly threads?: number;
  /** Threads that prepare batches. Default 1. */
  readonly workers?: number;
  readonly onCorrupt?: OnCorrupt;
  readonly evaluation?: Partial<EvaluationSettings>;
  readonly logger: Logger;
  readonly signal?: AbortSignal;
}

/** Fractions; batch norm recalibrated on the data that the network is trained on. */
export interface Top1 {
  readonly validation: number;
  readonly validationStandardError: number;
  readonly test: number;
  readonly testStandardError: number;
}

export interface FinetunedNetwork {
  /** The network as the supernet has it; null where its classifier is new and knows nothing yet. */
  readonly before: Top1 | null;
  readonly after: Top1;
  readonly steps: number;
  readonly weightsSha256: string;
  readonly architecture: ArchitectureFile;
  /** Path of the file. */
  readonly onnx: string;
  readonly verification: Verification;
  /** Names of the images that this call left out, as they cannot be decoded. */
  readonly skippedImages: readonly string[];
  /** What the data's folder holds beside images that are read, by reason. */
  readonly ignoredFiles: readonly IgnoredFiles[];
}

/** One phase on labels alone, a tenth of it warm-up. */
export function finetuneSchedule({
  epochs = FINETUNING.epochs,
  learningRate = FINETUNING.learningRate,
  batchSize = FINETUNING.batchSize,
}: Pick<FinetuneRequest, 'epochs' | 'learningRate' | 'batchSize'> = {}): Schedule {
  return scheduleSchema.parse({
    format: 'ofakit.schedule/1',
    name: 'finetune',
    description: 'One network, on labels alone',
    batchSize,
    momentum: 0.9,
    weightDecay: 3e-5,
    labelSmoothing: 0.1,
    phases: [{ name: 'finetune', epochs, warmupEpochs: epochs / 10, learningRate, subnets: ['largest'] }],
  });
}

/**
 * Trains the subnet on, or goes on with it, and exports it to `model.onnx` in the folder. Throws RangeError for an
 * architecture outside the run's space, UserError for data that do not fit, a folder with another run or one that another
 * process writes into; InterruptedError on `signal` after saving.
 */
export function finetune(request: FinetuneRequest): Promise<FinetunedNetwork> {
  const purpose = { action: 'train in', instead: 'give another --out' };
  return withFolderLock(request.folder, purpose, () => finetuneAlone(request));
}

/** With the folder's lock. */
async function finetuneAlone(request: FinetuneRequest): Promise<FinetunedNetwork> {
  const { run, arch, folder, seed, logger, engine, threads, workers, signal, evaluation } = request;
  const { provider } = request;
  const learned = await openDatasetToLearn(run, folder, request);
  const dataset = await asBegun(folder, learned.dataset, logger);
  await requireVariance(dataset);
  const space = spaceOfOne(run.space, arch, { classes: dataset.classes.length });
  const only = space.largest;
  const subnet = extractSubnet(run.weights, run.space.network(arch));
  const { weights, newHead } = startFrom(space, subnet, seed, run.folder, learned.otherClasses);
  const { batchSize, ...rest } = finetuneSchedule(request);
  const schedule = { ...rest, batchSize: fittingBatch(batchSize, dataset, logger) };
  const loading = fittingLoader(space, dataset, {
    batchSize: schedule.batchSize,
    seed,
    logger,
    ...(workers === undefined ? {} : { workers }),
  });
  const finish = async (runtime: Runtime, loader: Loader): Promise<FinetunedNetwork> => {
    const scores = async (evaluator: SubnetEvaluator) => {
      const statistics = await evaluator.calibrate(only);
      const validation = await evaluator.evaluate(only, 'validation', { statistics });
      const test = await evaluator.evaluate(only, 'test', { statistics });
      const top1: Top1 = {
        validation: validation.top1,
        validationStandardError: fractionStandardError(validation.top1, validation.count),
        test: test.top1,
        testStandardError: fractionStandardError(test.top1, test.count),
      };
      return { statistics, top1 };
    };
    const trained = await trainWith(
      {
        space,
        schedule,
        folder,
        seed,
        logger,
        // Of one network validation is short.
        validateEveryEpochs: 1,
        ...(signal === undefined ? {} : { signal }),
        ...(evaluation === undefined ? {} : { evaluation }),
      },
      loader,
      runtime,
      { weights, sha256: run.weightsSha256 },
    );
    const before = newHead
      ? null
      : (await scores(createEvaluator({ space, weights }, loader, runtime, evaluation))).top1;
    const { statistics, top1: after } = await scores(
      createEvaluator({ space, weights: trained.weights }, loader, runtime, evaluation),
    );
    const { path, verification } = await exportSubnet({
      space,
      weights: trained.weights,
      arch: only,
      statistics,
      outPath: join(folder, 'model.onnx'),
      classes: dataset.classes,
      normalisation: loader.normalisation,
      accuracy: { top1: after.test, split: 'test', dataset: dataset.name },
    });
    return {
      before,
      after,
      steps: trained.steps,
      weightsSha256: trained.weightsSha256,
      architecture: toFile(only),
      onnx: path,
      verification,
      skippedImages: loader.skipped,
      ignoredFiles: loader.dataset.ignored,
    };
  };
  return withLoader(loading, (loader) =>
    withRuntime({ logger, engine, provider, threads }, (runtime) => finish(runtime, loader)),
  );
}
