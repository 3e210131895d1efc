/** What a quickstart does, what it leaves, and what its stages hand on. */
import type { LatencyQuery } from '../latency/query.js';
import type { LatencyValidation } from '../latency/validate.js';
import type { LatencyTable } from '../latency/table.js';
import type { SearchSolution } from '../search/search.js';
import type { Architecture } from '../space/architecture.js';
import type { ScheduleFile } from '../training/schedule.js';
import type { FittedAccuracy } from './accuracy.js';
import type { SupernetRun } from './run.js';
import type { SpecializedModel } from './specialization.js';

export interface QuickstartSettings {
  readonly space: string;
  readonly data: string;
  readonly device: string;
  readonly schedule: ScheduleFile;
  /** Stretches training. */
  readonly epochsScale: number;
  /** Accuracies measured to fit the predictor, and to judge it. */
  readonly samples: { readonly fit: number; readonly heldOut: number };
  /** Whole subnets measured to correct the latency table, and to judge it. */
  readonly whole: { readonly fit: number; readonly check: number };
  /** Where the latency limits lie among the measured subnets, from 0 (fastest) to 1. */
  readonly limitQuantiles: readonly number[];
  readonly calibrationImages: number;
  readonly seed: number;
}

/** Rates for a data set of 7,000 images: a few epochs a phase, the smallest subnet in every step of the last ones. */
const schedule: ScheduleFile = {
  format: 'ofakit.schedule/1',
  name: 'quickstart',
  description: 'Progressive shrinking in a few minutes on a small data set',
  batchSize: 64,
  momentum: 0.9,
  weightDecay: 3e-5,
  labelSmoothing: 0.1,
  phases: [
    {
      name: 'largest',
      epochs: 5,
      warmupEpochs: 0.5,
      learningRate: 0.08,
      subnets: ['largest'],
      choices: { imageSize: 1, ks: 1, d: 1, e: 1 },
    },
    {
      name: 'kernel',
      epochs: 2,
      learningRate: 0.04,
      subnets: ['random'],
      choices: { d: 1, e: 1 },
      distillation: { teacher: 'largest' },
    },
    {
      name: 'depth 1',
      epochs: 1,
      learningRate: 0.03,
      subnets: ['random'],
      choices: { d: 2, e: 1 },
      distillation: { teacher: 'largest' },
    },
    {
      name: 'depth 2',
      epochs: 2,
      learningRate: 0.04,
      subnets: ['random', 'smallest'],
      choices: { e: 1 },
      distillation: { teacher: 'largest' },
    },
    {
      name: 'width 1',
      epochs: 2,
      learningRate: 0.04,
      subnets: ['random', 'smallest'],
      choices: { e: 2 },
      distillation: { teacher: 'largest' },
      sortChannels: true,
    },
    {
      name: 'width 2',
      epochs: 10,
      warmupEpochs: 0.25,
      learningRate: 0.06,
      subnets: ['random', 'random', 'smallest'],
      distillation: { teacher: 'largest' },
      sortChannels: true,
    },
  ],
};

export const QUICKSTART: QuickstartSettings = {
  space: 'mbv3-tiny',
  data: 'mnist',
  device: 'local-cpu',
  schedule,
  epochsScale: 1,
  samples: { fit: 200, heldOut: 60 },
  whole: { fit: 40, check: 40 },
  limitQuantiles: [0.1, 0.4, 0.75],
  calibrationImages: 1000,
  seed: 0,
};

/** summary.json; accuracies are fractions, `rmse` is in points, errors of latency in percent. */
export interface QuickstartSummary {
  readonly supernet: {
    readonly space: string;
    /** Distinct subnets, as decimal digits where a number would lose some. */
    readonly subnets: number | string;
    /** Top-1 of the largest and the smallest subnet on test data. */
    readonly bestTop1: number;
    readonly bestTop1StandardError: number;
    readonly smallestTop1: number;
    readonly smallestTop1StandardError: number;
    /** What training took, over all calls. */
    readonly seconds: number;
  };
  readonly accuracyPredictor: {
    readonly kendallTau: number;
    readonly kendallTauStandardError: number;
    readonly rmse: number;
    readonly rmseStandardError: number;
    readonly heldOut: number;
  };
  readonly latency: {
    readonly device: string;
    readonly mape: number;
    readonly within10Percent: number;
    readonly heldOut: number;
  };
  readonly models: readonly (Omit<
    SpecializedModel,
    'verification' | 'finalists' | 'onDevices' | 'borrowed'
  > & {
    readonly maxAbsDifference: number;
  })[];
  /** Of all calls that it took, those that were stopped too. */
  readonly seconds: number;
}

/** A subnet whose accuracy and latency were both measured. */
export interface MeasuredBoth {
  readonly architecture: Architecture;
  readonly latencyMs: number;
  /** Fraction of the validation images. */
  readonly top1: number;
}

/** What the stages hand on, for summary and report. */
export interface QuickstartResults {
  readonly folder: string;
  readonly settings: QuickstartSettings;
  readonly run: SupernetRun;
  readonly splits: Readonly<Record<'train' | 'validation' | 'test', number>>;
  readonly accuracy: FittedAccuracy;
  readonly latency: LatencyValidation;
  readonly query: LatencyQuery<LatencyTable>;
  /** Subnets with measured latency and validation accuracy. */
  readonly measured: readonly MeasuredBoth[];
  /** By the predictors, over the whole space. */
  readonly front: readonly SearchSolution[];
  readonly models: readonly SpecializedModel[];
  readonly summary: QuickstartSummary;
}
