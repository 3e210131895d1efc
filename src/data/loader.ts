/**
 * Batches of a data set. What a batch holds depends on (seed, epoch, step, image size) alone: neither on the number of
 * worker threads nor on the order in which batches are asked for.
 */
import { UserError } from '../util/errors.js';
import { silentLogger, type Logger } from '../util/logger.js';
import { createRandom } from '../util/random.js';
import type { AugmentationPolicy } from './augment/policy.js';
import { openBatchPool } from './batchPool.js';
import { BatchSource, type Batch, type Chance } from './batchSource.js';
import type { Dataset, Normalisation, Split } from './dataset.js';
import { ignoredLine } from './ignoredFiles.js';
import { createPixelCacheMemory } from './pixelCache.js';

export interface LoaderOptions {
  readonly dataset: Dataset;
  /** Training batch size. */
  readonly batchSize: number;
  readonly seed: number;
  /** Worker threads; 0 prepares batches in the calling thread. Default 1. */
  readonly workers?: number;
  /** Default: the data set's own. */
  readonly policy?: AugmentationPolicy;
  /** Default: the data set's own. */
  readonly normalisation?: Normalisation;
  /** Memory for decoded image files, shared by all threads. Default 256 MiB; data sets in memory need none. */
  readonly cacheBytes?: number;
  /** Told what the data set leaves out, and once about every image that is skipped. */
  readonly logger?: Logger;
}

export interface TrainBatchRequest {
  readonly epoch: number;
  /** Batch of the epoch, in [0, stepsPerEpoch). */
  readonly step: number;
  readonly imageSize: number;
}

export interface Loader {
  readonly dataset: Dataset;
  readonly normalisation: Normalisation;
  /** Whole batches in an epoch; the examples left over sit it out. */
  readonly stepsPerEpoch: number;
  /** Names of the images skipped so far, each once, in order. */
  readonly skipped: readonly string[];
  /** Batch `step` of a seeded permutation of `train`, augmented. Throws RangeError for a step outside the epoch. */
  trainBatch(epoch: number, step: number, imageSize: number): Promise<Batch>;
  /** Starts on a batch that `trainBatch` will ask for; it is kept until then. */
  prefetch(epoch: number, step: number, imageSize: number): void;
  /** The batches of `requests` in order, with the next `ahead` of them (default 2) under way while the caller computes. */
  trainBatches(requests: Iterable<TrainBatchRequest>, ahead?: number): AsyncGenerator<Batch, void>;
  /** The first `limit` examples of a split (default all) in order, unaugmented; the last batch may be smaller. */
  evaluationBatches(
    split: Split,
    imageSize: number,
    batchSize: number,
    limit?: number,
  ): AsyncGenerator<Batch, void>;
  /**
   * `count` images (at most all) drawn from `train` and augmented as in training, for batch-norm statistics; never from
   * validation or test. The last batch may be smaller.
   */
  calibrationBatches(
    count: number,
    batchSize: number,
    imageSize: number,
    seed: number,
  ): AsyncGenerator<Batch, void>;
  /** Ends the threads after the batches under way; every later request is rejected. */
  close(): Promise<void>;
}

/** Of decoded image files. */
export const DEFAULT_CACHE_BYTES = 256 * 2 ** 20;
/** Epochs whose permutation is kept: the current one and the next, whose first batches are prefetched. */
const ORDERS_KEPT = 2;

/** Opens a loader; end it with `close()`. Throws UserError when there are fewer training images than a batch needs. */
export async function createLoader(options: LoaderOptions): Promise<Loader> {
  const { dataset, batchSize } = options;
  const trainSize = dataset.splitSize('train');
  if (!Number.isInteger(batchSize) || batchSize < 1) {
    throw new RangeError(
      `Cannot create a loader: batch size must be a positive integer: current value is ${batchSize}`,
    );
  }
  if (trainSize < batchSize) {
    throw new UserError(
      `Cannot make batches of ${batchSize} images: the training part of "${dataset.name}" must hold at least as many: it has ${trainSize}`,
    );
  }
  const logger = options.logger ?? silentLogger;
  for (const line of [
    ignoredLine(dataset.source.path ?? dataset.name, dataset.ignored),
    ...dataset.remarks,
  ]) {
    if (line !== undefined) logger.warn(line);
  }
  const normalisation = options.normalisation ?? (await dataset.normalisation());
  const { images } = dataset;
  const pool = openBatchPool(
    {
      images,
      policy: options.policy ?? dataset.defaultPolicy,
      normalisation,
      cache:
        images.kind === 'files'
          ? createPixelCacheMemory(images.count, options.cacheBytes ?? DEFAULT_CACHE_BYTES)
          : undefined,
    },
    options.workers ?? 1,
  );
  const source = new BatchSource(dataset, pool, logger);
  return new DatasetLoader(options, normalisation, source);
}

class DatasetLoader implements Loader {
  readonly dataset: Dataset;
  readonly stepsPerEpoch: number;
  private readonly orders = new Map<number, readonly number[]>();
  private readonly ahead = new Map<string, Promise<Batch>>();
  private closed = false;

  constructor(
    private readonly options: LoaderOptions,
    readonly normalisation: Normalisation,
    private readonly source: BatchSource,
  ) {
    this.dataset = options.dataset;
    this.stepsPerEpoch = Math.floor(this.dataset.splitSize('train') / options.batchSize);
  }

  get skipped(): readonly string[] {
    return this.source.skipped;
  }

  trainBatch(epoch: number, step: number, imageSize: number): Promise<Batch> {
    const key = `${epoch}/${step}/${imageSize}`;
    const started = this.ahead.get(key);
    this.ahead.delete(key);
    return started ?? this.startTraining(epoch, step, imageSize);
  }

  prefetch(epoch: number, step: number, imageSize: number): void {
    const key = `${epoch}/${step}/${imageSize}`;
    if (this.ahead.has(key)) return;
    this.ahead.set(key, quiet(this.startTraining(epoch, step, imageSize)));
  }

  async *trainBatches(requests: Iterable<TrainBatchRequest>, ahead = 2): AsyncGenerator<Batch, void> {
    const started: Promise<Batch>[] = [];
    for (const { epoch, step, imageSize } of requests) {
      started.push(quiet(this.trainBatch(epoch, step, imageSize)));
      if (started.length > ahead) yield await started.shift()!;
    }
    for (const batch of started) yield await batch;
  }

  evaluationBatches(
    split: Split,
    imageSize: number,
    batchSize: number,
    limit = Infinity,
  ): AsyncGenerator<Batch, void> {
    const count = Math.min(limit, this.dataset.splitSize(split));
    const indices = Array.from({ length: count }, (_, i) => i);
    return this.inOrder(split, indices, batchSize, imageSize, () => undefined);
  }

  calibrationBatches(
    count: number,
    batchSize: number,
    imageSize: number,
    seed: number,
  ): AsyncGenerator<Batch, void> {
    const all = Array.from({ length: this.dataset.splitSize('train') }, (_, i) => i);
    const indices = createRandom(seed, 'calibration').shuffle(all).slice(0, count);
    return this.inOrder('train', indices, batchSize, imageSize, (keys) => ({
      seedParts: [seed, 'calibration'],
      keys,
    }));
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.ahead.clear();
    await this.source.close();
  }

  private async startTraining(epoch: number, step: number, imageSize: number): Promise<Batch> {
    const { batchSize, seed } = this.options;
    if (!Number.isInteger(step) || step < 0 || step >= this.stepsPerEpoch) {
      throw new RangeError(
        `Cannot make a training batch: step must be in [0, ${this.stepsPerEpoch}): current value is ${step}`,
      );
    }
    const indices = this.order(epoch).slice(step * batchSize, (step + 1) * batchSize);
    return this.source.load('train', indices, imageSize, (keys) => ({
      seedParts: [seed, 'augment', epoch],
      keys,
    }));
  }

  private order(epoch: number): readonly number[] {
    let order = this.orders.get(epoch);
    if (order === undefined) {
      const all = Array.from({ length: this.dataset.splitSize('train') }, (_, i) => i);
      order = createRandom(this.options.seed, 'order', epoch).shuffle(all);
      if (this.orders.size >= ORDERS_KEPT) this.orders.delete(this.orders.keys().next().value!);
      this.orders.set(epoch, order);
    }
    return order;
  }

  private async *inOrder(
    split: Split,
    indices: readonly number[],
    batchSize: number,
    imageSize: number,
    chance: Chance,
  ): AsyncGenerator<Batch, void> {
    if (!Number.isInteger(batchSize) || batchSize < 1) {
      throw new RangeError(
        `Cannot make batches: batch size must be a positive integer: current value is ${batchSize}`,
      );
    }
    const ahead = Math.max(1, this.options.workers ?? 1);
    const started: Promise<Batch>[] = [];
    for (let first = 0; first < indices.length; first += batchSize) {
      started.push(
        quiet(this.source.load(split, indices.slice(first, first + batchSize), imageSize, chance)),
      );
      if (started.length <= ahead) continue;
      const batch = await started.shift()!;
      if (batch.labels.length > 0) yield batch;
    }
    for (const next of started) {
      const batch = await next;
      if (batch.labels.length > 0) yield batch;
    }
  }
}

/** A promise that is awaited later: its rejection is reported then, not as unhandled now. */
function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
