/** The smallest runs that go through everything: a space of a few channels, some digits, short phases. */
import { openDataset } from '../../../src/data/index.js';
import type { Dataset } from '../../../src/data/dataset.js';
import { createLoader, type Loader } from '../../../src/data/loader.js';
import { createRuntime, type Runtime } from '../../../src/pipeline/runtime.js';
import { createSpace, type SearchSpace } from '../../../src/space/space.js';
import { SubnetEvaluator } from '../../../src/training/evaluator.js';
import { scheduleSchema, type Schedule, type ScheduleFile } from '../../../src/training/schedule.js';
import { trainSupernet, type TrainingOptions, type TrainingResult } from '../../../src/training/trainer.js';

export interface TinyOptions {
  readonly imageSizes?: readonly number[];
  readonly dropout?: number;
  readonly inputChannels?: number;
  readonly classes?: number;
  readonly depth?: readonly number[];
  readonly kernel?: readonly number[];
  readonly expand?: readonly number[];
}

/** One stage of up to two blocks with all that is elastic, squeeze-excite and dropout. */
export function tinySpace(options: TinyOptions = {}): SearchSpace {
  const { imageSizes = [8, 12], dropout = 0.1, inputChannels = 1, classes = 10 } = options;
  const { depth = [1, 2], kernel = [3, 5, 7], expand = [1, 2, 3] } = options;
  return createSpace({
    format: 'ofakit.space/1',
    name: 'tiny',
    description: 'for tests',
    family: 'mbconv',
    inputChannels,
    imageSizes,
    classes,
    width: 1,
    dropout,
    batchNorm: { epsilon: 1e-5, momentum: 0.1 },
    network: {
      stem: { width: 8, kernel: 3, stride: 2, activation: 'h_swish' },
      stages: [{ width: 8, stride: 1, activation: 'h_swish', squeezeExcite: true, depth, kernel, expand }],
      head: { expand: 16, mix: 16, activation: 'h_swish' },
      kernelTransform: true,
    },
  });
}

/** The first examples of every split. */
export async function digits(train: number, others = 32): Promise<Dataset> {
  const dataset = await openDataset('mnist');
  return {
    ...dataset,
    splitSize: (split) => Math.min(split === 'train' ? train : others, dataset.splitSize(split)),
  };
}

export function tinySchedule(overrides: Partial<ScheduleFile> = {}): Schedule {
  return scheduleSchema.parse({
    format: 'ofakit.schedule/1',
    name: 'tiny',
    description: 'for tests',
    batchSize: 16,
    momentum: 0.9,
    weightDecay: 3e-5,
    labelSmoothing: 0.1,
    phases: [
      {
        name: 'largest',
        epochs: 1.5,
        learningRate: 0.2,
        subnets: ['largest'],
        choices: { imageSize: 1, ks: 1, d: 1, e: 1 },
      },
      {
        name: 'kernel',
        epochs: 1,
        warmupEpochs: 0.5,
        learningRate: 0.1,
        subnets: ['random'],
        choices: { d: 1, e: 1 },
        distillation: { teacher: 'largest' },
      },
      {
        name: 'width 1',
        epochs: 1,
        learningRate: 0.05,
        subnets: ['random', 'random'],
        choices: { e: 2 },
        distillation: { teacher: 'largest' },
        sortChannels: true,
      },
      {
        name: 'width 2',
        epochs: 1,
        learningRate: 0.05,
        subnets: ['largest', 'smallest', 'random'],
        distillation: { teacher: 'in-place' },
        sortChannels: true,
      },
    ],
    ...overrides,
  } satisfies ScheduleFile);
}

/** A loader whose training batches are announced before they are handed out. */
export function announced(loader: Loader, announce: (batch: number) => void): Loader {
  return {
    dataset: loader.dataset,
    normalisation: loader.normalisation,
    stepsPerEpoch: loader.stepsPerEpoch,
    skipped: loader.skipped,
    trainBatch: (...args) => loader.trainBatch(...args),
    prefetch: (...args) => loader.prefetch(...args),
    trainBatches: async function* (requests, ahead) {
      const steps: number[] = [];
      const noted = function* () {
        for (const request of requests) {
          steps.push(request.epoch * loader.stepsPerEpoch + request.step);
          yield request;
        }
      };
      for await (const batch of loader.trainBatches(noted(), ahead)) {
        announce(steps.shift()!);
        yield batch;
      }
    },
    evaluationBatches: (...args) => loader.evaluationBatches(...args),
    calibrationBatches: (...args) => loader.calibrationBatches(...args),
    close: () => loader.close(),
  };
}

export interface TinyRun {
  readonly folder: string;
  readonly runtime: Runtime;
  readonly dataset: Dataset;
  readonly workers?: number;
  /** Called with the number of a step before it is computed. */
  readonly beforeStep?: (step: number) => void;
  readonly validates?: boolean;
  readonly training?: Partial<TrainingOptions>;
}

/** Trains `tinySpace` on `tinySchedule` unless told otherwise. */
export async function runTiny(run: TinyRun): Promise<TrainingResult> {
  const { folder, runtime, dataset, workers = 0, beforeStep = () => undefined, training } = run;
  const { space = tinySpace(), schedule = tinySchedule(), seed = 7 } = training ?? {};
  const loader = await createLoader({ dataset, batchSize: schedule.batchSize, seed, workers });
  const { executor } = runtime;
  const settings = { calibrationImages: 16, calibrationBatch: 8, evaluationBatch: 16, limit: 24 };
  try {
    return await trainSupernet({
      space,
      schedule,
      executor,
      folder,
      seed,
      loader: announced(loader, beforeStep),
      checkpointSeconds: 1e9,
      ...(run.validates === false
        ? {}
        : {
            validate: (weights) => {
              const evaluator = new SubnetEvaluator({
                space,
                weights,
                loader,
                engines: runtime,
                settings,
              });
              return (arch) => evaluator.evaluate(arch, 'validation');
            },
          }),
      ...training,
    });
  } finally {
    await loader.close();
  }
}

export const twoThreads = (): Promise<Runtime> => createRuntime({ threads: 2 });
