/** Keeps things that are costly to make, by key, up to a number of bytes; the least recently used goes first. */

export interface Disposable {
  dispose(): Promise<void>;
}

export interface CacheStatistics {
  readonly hits: number;
  readonly misses: number;
  readonly evictions: number;
  readonly programs: number;
  /** Estimated. */
  readonly bytes: number;
}

interface Entry<P> {
  readonly item: Promise<P>;
  readonly bytes: number;
}

export class Recent<P extends Disposable> {
  private readonly entries = new Map<string, Entry<P>>();
  private bytes = 0;
  private hits = 0;
  private misses = 0;
  private evictions = 0;

  /** The one asked for last is kept, however large. */
  constructor(private limitBytes: number) {}

  get maxBytes(): number {
    return this.limitBytes;
  }

  /** Another limit, which the next thing made is the first to meet. */
  limit(maxBytes: number): void {
    this.limitBytes = maxBytes;
  }

  /** The item of `key`, made on the first call. One whose making failed is not kept. */
  async get(key: string, make: () => Entry<P>): Promise<P> {
    const known = this.entries.get(key);
    if (known !== undefined) {
      this.hits++;
      this.entries.delete(key);
      this.entries.set(key, known);
      return known.item;
    }
    this.misses++;
    const made = make();
    this.entries.set(key, made);
    this.bytes += made.bytes;
    try {
      await made.item;
    } catch (error) {
      this.forget(key, made);
      throw error;
    }
    for (const [oldest, entry] of this.entries) {
      if (this.bytes <= this.limitBytes || entry === made) break;
      this.forget(oldest, entry);
      this.evictions++;
      await (await entry.item).dispose();
    }
    return made.item;
  }

  get statistics(): CacheStatistics {
    const { hits, misses, evictions, bytes } = this;
    return { hits, misses, evictions, programs: this.entries.size, bytes };
  }

  async dispose(): Promise<void> {
    const all = [...this.entries.values()];
    this.entries.clear();
    this.bytes = 0;
    for (const { item } of all) await (await item).dispose();
  }

  private forget(key: string, { bytes }: Entry<P>): void {
    this.entries.delete(key);
    this.bytes -= bytes;
  }
}
