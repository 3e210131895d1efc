/** Keeps the most recently used values up to a number of bytes. */
export class LruCache<V> {
  private readonly entries = new Map<string, V>();
  private bytes = 0;

  /** `limit`: bytes; a value larger than all of it is not kept. */
  constructor(
    private readonly limit: number,
    private readonly bytesOf: (value: V) => number,
  ) {}

  get(key: string): V | undefined {
    const value = this.entries.get(key);
    if (value !== undefined) {
      this.entries.delete(key);
      this.entries.set(key, value);
    }
    return value;
  }

  set(key: string, value: V): void {
    const size = this.bytesOf(value);
    if (size > this.limit) return;
    const old = this.entries.get(key);
    if (old !== undefined) this.remove(key, old);
    // A Map iterates in order of insertion: the first key is the one unused for longest.
    for (const [oldest, dropped] of this.entries) {
      if (this.bytes + size <= this.limit) break;
      this.remove(oldest, dropped);
    }
    this.entries.set(key, value);
    this.bytes += size;
  }

  private remove(key: string, value: V): void {
    this.entries.delete(key);
    this.bytes -= this.bytesOf(value);
  }
}
