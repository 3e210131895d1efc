/** A RUN folder: a supernet and what was learned about it. */
import { join } from 'node:path';
import { datasetInChannels } from '../data/baseDataset.js';
import { openDataset, parseDatasetSpec } from '../data/index.js';
import { createLoader, type Loader } from '../data/loader.js';
import type { Dataset, DatasetSource, OnCorrupt } from '../data/dataset.js';
import { readDataRecord, type DataRecord } from '../data/record.js';
import type { SearchSpace } from '../space/space.js';
import { loadCheckpoint } from '../supernet/checkpoint.js';
import type { SupernetWeights } from '../supernet/weights.js';
import { SubnetEvaluator, type EvaluationSettings } from '../training/evaluator.js';
import { UserError } from '../util/errors.js';
import type { Logger } from '../util/logger.js';
import { checkRunThere } from './runSpace.js';
import type { Runtime } from './runtime.js';

export interface SupernetRun {
  readonly folder: string;
  readonly space: SearchSpace;
  readonly weights: SupernetWeights;
  /** Keys everything computed from the weights. */
  readonly weightsSha256: string;
  /** What it was trained on; null for imported supernets. */
  readonly data: DatasetSource | null;
  /** Names of its classes, normalisation and examples; absent where it does not know them. */
  readonly record?: DataRecord | undefined;
}

/** Files of a run beside the checkpoint. */
export const runFiles = (folder: string) =>
  ({
    accuracies: join(folder, 'accuracy.jsonl'),
    accuracyPredictor: join(folder, 'accuracy-predictor.safetensors'),
    models: join(folder, 'models'),
    report: join(folder, 'report.html'),
    specialized: join(folder, 'specialized.jsonl'),
    summary: join(folder, 'summary.json'),
  }) as const;

/** Throws UserError where the folder holds no supernet, or a damaged one. */
export async function openRun(folder: string): Promise<SupernetRun> {
  checkRunThere(folder);
  const { space, weights, weightsSha256, data } = await loadCheckpoint(folder);
  const record = await readDataRecord(folder);
  return { folder, space, weights, weightsSha256, data: data as DatasetSource | null, record };
}

export interface LoaderSettings {
  readonly batchSize: number;
  readonly seed: number;
  readonly workers?: number;
  /** Memory for decoded image files. */
  readonly cacheBytes?: number;
  readonly logger?: Logger;
}

/**
 * A loader of `spec` (`NAME[:PATH]`) for networks of a space that no run has trained: for those of a run, whose classes and
 * normalisation are its own, `openRunLoader`. `onCorrupt` overrides what the source says. Throws UserError where the data do
 * not fit the space, saying how.
 */
export async function openLoader(
  space: SearchSpace,
  spec: string | DatasetSource | null | undefined,
  { onCorrupt, ...settings }: LoaderSettings & { readonly onCorrupt?: OnCorrupt | undefined },
): Promise<Loader> {
  return fittingLoader(space, await openData(spec, onCorrupt), settings);
}

/** The data set of `spec`. Throws UserError where there is none. */
export async function openData(
  spec: string | DatasetSource | null | undefined,
  onCorrupt: OnCorrupt | undefined,
): Promise<Dataset> {
  if (spec === undefined || spec === null)
    throw new UserError('Cannot open the data set: none is known for this run; give one with --data');
  const source = typeof spec === 'string' ? parseDatasetSpec(spec) : spec;
  return openDataset(onCorrupt === undefined ? source : { ...source, onCorrupt });
}

/**
 * Images get as many channels as the space takes, and batches no more images than there are. Throws UserError where the data
 * do not fit the space, saying how.
 */
export async function fittingLoader(
  space: SearchSpace,
  dataset: Dataset,
  settings: LoaderSettings,
): Promise<Loader> {
  const { classes, inputChannels } = space.parameters;
  if (dataset.classes.length !== classes) {
    throw new UserError(
      `Cannot use data set "${dataset.name}" with space "${space.name}": the space has ${classes} classes, the data set ${dataset.classes.length}; try --classes ${dataset.classes.length}`,
    );
  }
  if (inputChannels !== 1 && inputChannels !== 3) {
    throw new UserError(
      `Cannot use data set "${dataset.name}" with space "${space.name}": images have 1 channel (grey) or 3 (colour): the space takes ${inputChannels}`,
    );
  }
  const fitting = datasetInChannels(dataset, inputChannels);
  if (fitting !== dataset) {
    settings.logger?.info(
      `Images of "${dataset.name}" are made ${inputChannels === 1 ? 'grey' : 'colour'}: space "${space.name}" takes ${inputChannels === 1 ? '1 channel' : '3 channels'}`,
    );
  }
  const batchSize = fittingBatch(settings.batchSize, dataset, settings.logger);
  return createLoader({ dataset: fitting, ...settings, batchSize });
}

/** The batch size, or that of all training images where they are fewer, with a word. */
export function fittingBatch(batchSize: number, dataset: Dataset, logger?: Logger): number {
  const images = dataset.splitSize('train');
  if (images >= batchSize) return batchSize;
  logger?.warn(
    `The training part of "${dataset.name}" has ${images} images, fewer than a batch of ${batchSize}: batches have ${images}, and learning rates are scaled with them; more images train better`,
  );
  return images;
}

/** Scores subnets of a run. */
export function createEvaluator(
  { space, weights }: Pick<SupernetRun, 'space' | 'weights'>,
  loader: Loader,
  engines: Runtime,
  settings: Partial<EvaluationSettings> = {},
): SubnetEvaluator {
  return new SubnetEvaluator({ space, weights, loader, engines, settings });
}
