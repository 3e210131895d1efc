/** One pass over batches for several readers at their own speeds: what the slowest has read is dropped. */
import type { Batch } from '../data/batchSource.js';
import { sizeOf } from '../util/tensor.js';

const imageBytes = ({ images }: Batch): number => 4 * sizeOf(images.shape);

/** A reader that has joined holds back the others until it reads on or leaves. */
export interface BatchReader {
  /** All batches, in order. Rejects as the source does. */
  read(): AsyncGenerator<Batch, void>;
  leave(): void;
}

export class SharedBatches {
  private source: AsyncIterator<Batch> | undefined;
  private readonly kept: Batch[] = [];
  /** Position of the first that is kept. */
  private first = 0;
  private bytes = 0;
  private ended = false;
  /** Of every reader the position it reads next; Infinity when it has left. */
  private readonly positions: number[] = [];
  private loading: Promise<void> | undefined;
  private wake: (() => void) | undefined;

  /**
   * `maxBytes`: of images that wait for slow readers; fast ones wait when it is reached. One batch is kept, however large.
   * Infinity keeps all, for readers who join later.
   */
  constructor(
    private readonly open: () => AsyncIterable<Batch>,
    private readonly maxBytes: number,
  ) {}

  /** Throws RangeError where batches are gone already. */
  join(): BatchReader {
    if (this.first > 0)
      throw new RangeError(`Cannot join: all batches must be there: the first ${this.first} are gone`);
    const reader = this.positions.push(0) - 1;
    return { read: () => this.read(reader), leave: () => this.move(reader, Infinity) };
  }

  /** Ends the source, where it was opened; readers find no more batches. */
  async close(): Promise<void> {
    this.ended = true;
    await this.loading?.catch(() => undefined);
    await this.source?.return?.();
  }

  private async *read(reader: number): AsyncGenerator<Batch, void> {
    try {
      for (let at = 0; ; this.move(reader, ++at)) {
        while (!this.ended && at >= this.first + this.kept.length) await this.more();
        const batch = this.kept[at - this.first];
        if (batch === undefined) return;
        yield batch;
      }
    } finally {
      this.move(reader, Infinity);
    }
  }

  /** Waits until another batch is there or the source has ended; one reader loads for all. */
  private more(): Promise<void> {
    this.loading ??= this.load().finally(() => (this.loading = undefined));
    return this.loading;
  }

  private async load(): Promise<void> {
    while (this.kept.length > 0 && this.bytes >= this.maxBytes)
      await new Promise<void>((resolve) => (this.wake = resolve));
    this.source ??= this.open()[Symbol.asyncIterator]();
    const next = await this.source.next();
    if (next.done === true) {
      this.ended = true;
      return;
    }
    this.kept.push(next.value);
    this.bytes += imageBytes(next.value);
  }

  private move(reader: number, to: number): void {
    this.positions[reader] = Math.max(to, this.positions[reader]!);
    if (this.maxBytes === Infinity) return;
    const slowest = Math.min(...this.positions);
    while (this.kept.length > 0 && this.first < slowest) {
      this.bytes -= imageBytes(this.kept.shift()!);
      this.first++;
    }
    this.wake?.();
    this.wake = undefined;
  }
}
