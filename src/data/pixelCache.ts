/**
 * Decoded images in memory that all threads share. It fills up once and then stays as it is: an epoch visits every
 * image once in random order, so keeping the first ones hits as often as any cache of that size can, and keeping the
 * most recent ones would hardly ever hit.
 */
import type { Image } from './augment/image.js';

/** Crosses into worker threads as it is. */
export interface PixelCacheMemory {
  /** Pixels, one image after the other. */
  readonly arena: SharedArrayBuffer;
  /** One record an image: state, first unit in the arena, height, width; at the end the number of units in use. */
  readonly table: SharedArrayBuffer;
}

const FIELDS = 4;
/** Arena positions are counted in units, so that 32 bits reach beyond any machine's memory. */
const UNIT_BYTES = 64;
const State = { absent: 0, claimed: 1, present: 2 } as const;

/** Room for `count` images in `bytes` of pixels; the system hands the memory out as it is filled. */
export function createPixelCacheMemory(count: number, bytes: number): PixelCacheMemory {
  return {
    arena: new SharedArrayBuffer(Math.floor(bytes / UNIT_BYTES) * UNIT_BYTES),
    table: new SharedArrayBuffer(4 * (count * FIELDS + 1)),
  };
}

export class PixelCache {
  private readonly bytes: Uint8Array;
  private readonly table: Int32Array;

  constructor(
    memory: PixelCacheMemory,
    private readonly channels: number,
  ) {
    this.bytes = new Uint8Array(memory.arena);
    this.table = new Int32Array(memory.table);
  }

  get(position: number): Image<Uint8Array> | undefined {
    const record = position * FIELDS;
    if (Atomics.load(this.table, record) !== State.present) return undefined;
    const start = this.table[record + 1]! * UNIT_BYTES;
    const height = this.table[record + 2]!;
    const width = this.table[record + 3]!;
    const { channels } = this;
    return { channels, height, width, data: this.bytes.subarray(start, start + channels * height * width) };
  }

  /** Keeps an image if there is room and no other thread keeps it. */
  set(position: number, { height, width, data }: Image<Uint8Array>): void {
    const { table } = this;
    const record = position * FIELDS;
    const units = Math.ceil(data.length / UNIT_BYTES);
    const first = this.reserve(units);
    if (first === undefined) return;
    if (Atomics.compareExchange(table, record, State.absent, State.claimed) !== State.absent) return;
    this.bytes.set(data, first * UNIT_BYTES);
    table[record + 1] = first;
    table[record + 2] = height;
    table[record + 3] = width;
    Atomics.store(table, record, State.present);
  }

  private reserve(units: number): number | undefined {
    const used = this.table.length - 1;
    const capacity = this.bytes.length / UNIT_BYTES;
    for (;;) {
      const first = Atomics.load(this.table, used);
      if (first + units > capacity) return undefined;
      if (Atomics.compareExchange(this.table, used, first, first + units) === first) return first;
    }
  }
}
