/** Batches of given examples, and what becomes of images that cannot be decoded. */
import { UserError } from '../util/errors.js';
import type { Logger } from '../util/logger.js';
import { tensor, type Tensor } from '../util/tensor.js';
import { corruptImage } from './baseDataset.js';
import type { BatchPool } from './batchPool.js';
import type { BatchFailure, BatchPixels, BatchTask } from './batchTask.js';
import type { Dataset, Split } from './dataset.js';

export interface Batch {
  /** float32 [N, C, S, S], normalised. */
  readonly images: Tensor;
  readonly labels: Int32Array;
  /** Index of every example in its split. */
  readonly indices: Int32Array;
}

/** Where the augmentation of examples with these indices gets its chance; undefined where there is none. */
export type Chance = (indices: number[]) => BatchTask['augment'];

export class BatchSource {
  /** Examples known to be damaged. */
  private readonly corrupt: Record<Split, Set<number>> = {
    train: new Set(),
    validation: new Set(),
    test: new Set(),
  };
  private readonly skippedNames = new Set<string>();
  private closed = false;

  constructor(
    private readonly dataset: Dataset,
    private readonly pool: BatchPool,
    private readonly logger: Logger,
  ) {}

  /** Names of the images skipped so far, sorted. */
  get skipped(): readonly string[] {
    return [...this.skippedNames].sort();
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.pool.close();
  }

  /**
   * One batch of the examples `wanted`. A damaged image, where it may be skipped, is replaced by the next readable one
   * of its split when there is augmentation (training keeps its batch size), and left out when there is none (a figure
   * counts no image twice). Both depend on the files alone, not on what was loaded before.
   */
  async load(split: Split, wanted: readonly number[], imageSize: number, chance: Chance): Promise<Batch> {
    const slots = wanted.map((index) => ({ wanted: index, index }));
    const replaces = chance([]) !== undefined;

    // Nearly always one turn. Every further one has found images that were not known to be damaged.
    for (;;) {
      for (const slot of replaces ? slots : []) slot.index = this.nextReadable(split, slot.wanted);
      const kept = replaces ? slots : slots.filter(({ index }) => !this.corrupt[split].has(index));
      const { images, failures } = await this.make({
        refs: kept.map(({ index }) => this.dataset.ref(split, index)),
        imageSize,
        augment: chance(kept.map((slot) => slot.wanted)),
      });
      for (const failure of failures) this.reject(split, kept[failure.at]!.index, failure);
      if (failures.length > 0) continue;
      const indices = Int32Array.from(kept, ({ index }) => index);
      return {
        images: tensor([kept.length, this.dataset.imageChannels, imageSize, imageSize], images),
        labels: indices.map((index) => this.dataset.label(split, index)),
        indices,
      };
    }
  }

  private async make(task: BatchTask): Promise<BatchPixels> {
    if (this.closed) throw new Error('Cannot load a batch: the loader is closed');
    return this.pool.make(task);
  }

  /** Notes a damaged image, or throws: UserError naming it where it may not be skipped. */
  private reject(split: Split, index: number, { kind, reason }: BatchFailure): void {
    const name = this.dataset.exampleName(split, index);
    if (kind === 'other') throw new Error(`Cannot prepare ${name}: ${reason}`);
    if (this.dataset.source.onCorrupt === 'fail') throw corruptImage(name, reason);
    this.corrupt[split].add(index);
    if (this.skippedNames.has(name)) return;
    this.skippedNames.add(name);
    this.logger.warn(`Skipped ${name}: it cannot be decoded (${reason})`);
  }

  /** The example itself, or the first after it (cyclically) that is not known to be damaged. */
  private nextReadable(split: Split, index: number): number {
    const size = this.dataset.splitSize(split);
    for (let i = 0; i < size; i++) {
      const candidate = (index + i) % size;
      if (!this.corrupt[split].has(candidate)) return candidate;
    }
    throw new UserError(`Cannot use data set "${this.dataset.name}": no ${split} image can be decoded`);
  }
}
