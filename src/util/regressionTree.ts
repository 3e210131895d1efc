/**
 * Regression trees on least squares (Breiman et al., Classification and regression trees, 1984, chapter 8), and forests of
 * them as flat tables (docs/decisions/0010-own-trees-and-process.md). Columns are sorted once into bins, so a node costs its
 * samples times the places.
 */
import type { Random } from './random.js';

/** More values than this of one place are cut at quantiles; encodings have two or three. */
const MOST_BINS = 256;

/** Rows one after the other: [count, width]. */
export type Rows = Float32Array | Float64Array;

/** The samples of a fit, place by place. */
export interface BinnedColumns {
  readonly count: number;
  /** One a place: the bin of every sample. */
  readonly bins: readonly Uint8Array[];
  /** One a place: the least and the greatest value of every bin, in the rows' precision. */
  readonly lows: readonly Rows[];
  readonly highs: readonly Rows[];
}

/** `rows`: [count, width]. Bins are single values where there are few. */
export function binColumns(rows: Rows, count: number, width: number): BinnedColumns {
  const make = (length: number): Rows =>
    rows instanceof Float32Array ? new Float32Array(length) : new Float64Array(length);
  const bins: Uint8Array[] = [];
  const lows: Rows[] = [];
  const highs: Rows[] = [];
  for (let place = 0; place < width; place++) {
    const column = make(count);
    for (let row = 0; row < count; row++) column[row] = rows[row * width + place]!;
    const sorted: Rows = column.toSorted();
    const values = [...new Set(sorted)];
    const chosen = values.length <= MOST_BINS ? values : quantiles(sorted);
    const starts = make(chosen.length);
    starts.set(chosen);
    const own = Uint8Array.from(column, (value) => countUpTo(starts, value) - 1);
    const high = starts.slice();
    for (let row = 0; row < count; row++) {
      const bin = own[row]!;
      if (column[row]! > high[bin]!) high[bin] = column[row]!;
    }
    bins.push(own);
    lows.push(starts);
    highs.push(high);
  }
  return { count, bins, lows, highs };
}

/** A c of the precision of `like` with lower <= c < upper: half-way, where that is one. */
function between(like: Rows, lower: number, upper: number): number {
  const exact = lower + (upper - lower) / 2;
  const middle = like instanceof Float32Array ? Math.fround(exact) : exact;
  return middle < upper ? middle : lower;
}

/** Distinct values that begin about equal parts of `sorted`. */
function quantiles(sorted: Rows): number[] {
  const at = Array.from({ length: MOST_BINS }, (_, i) => Math.floor((i * sorted.length) / MOST_BINS));
  return [...new Set(at.map((index) => sorted[index]!))];
}

/** How many of the ascending values are at most `value`. */
function countUpTo(values: Rows, value: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

export interface GrowthSettings {
  /** Splits from the root to a leaf, at most. */
  readonly depth: number;
  /** Samples in a leaf, at least. */
  readonly minLeaf: number;
  /** Places tried at a split, drawn at each; all of them unless given. */
  readonly places?: number;
}

/** Nodes of trees one after the other. */
export interface Forest {
  /** Index of each tree's root. */
  readonly roots: readonly number[];
  /** One a node: the place that is asked, -1 for a leaf. */
  readonly places: readonly number[];
  /** Values up to this go to `lefts`, others to the node behind it. 0 for a leaf. */
  readonly thresholds: readonly number[];
  readonly lefts: readonly number[];
  /** What a leaf predicts; 0 for others. */
  readonly values: readonly number[];
}

interface Split {
  readonly place: number;
  /** The last bin that goes left. */
  readonly bin: number;
  /** Half-way between the samples' own values, whatever others there are. */
  readonly threshold: number;
}

export class ForestBuilder implements Forest {
  readonly roots: number[] = [];
  readonly places: number[] = [];
  readonly thresholds: number[] = [];
  readonly lefts: number[] = [];
  readonly values: number[] = [];
  private readonly sums = new Float64Array(MOST_BINS);
  private readonly counts = new Int32Array(MOST_BINS);

  constructor(
    private readonly columns: BinnedColumns,
    private readonly settings: GrowthSettings,
    /** Draws places, where not all of them are tried. */
    private readonly random?: Random,
  ) {}

  /**
   * Adds a tree that approximates `targets` on the samples of `indices` (repeats count twice). Leaves hold means times
   * `shrinkage`.
   */
  grow(indices: Int32Array, targets: ArrayLike<number>, shrinkage = 1): void {
    this.roots.push(this.leaf());
    const queue = [{ node: this.places.length - 1, depth: 0, samples: indices }];
    for (let item = queue.pop(); item !== undefined; item = queue.pop()) {
      const { node, depth, samples } = item;
      const split = depth < this.settings.depth ? this.bestSplit(samples, targets) : undefined;
      if (split === undefined) {
        let sum = 0;
        for (const i of samples) sum += targets[i]!;
        this.values[node] = (shrinkage * sum) / samples.length;
        continue;
      }
      const bins = this.columns.bins[split.place]!;
      this.places[node] = split.place;
      this.thresholds[node] = split.threshold;
      this.lefts[node] = this.leaf();
      this.leaf();
      const left = this.lefts[node];
      queue.push(
        { node: left, depth: depth + 1, samples: samples.filter((i) => bins[i]! <= split.bin) },
        { node: left + 1, depth: depth + 1, samples: samples.filter((i) => bins[i]! > split.bin) },
      );
    }
  }

  /** What the tree that was added last says of the row that begins at `offset`. */
  askLast(rows: Rows, offset: number): number {
    let node = this.roots[this.roots.length - 1]!;
    for (let place = this.places[node]!; place >= 0; place = this.places[node]!) {
      node = rows[offset + place]! <= this.thresholds[node]! ? this.lefts[node]! : this.lefts[node]! + 1;
    }
    return this.values[node]!;
  }

  private leaf(): number {
    this.places.push(-1);
    this.thresholds.push(0);
    this.lefts.push(0);
    return this.values.push(0) - 1;
  }

  /** The split with the least square error; undefined where none lowers it. */
  private bestSplit(samples: Int32Array, targets: ArrayLike<number>): Split | undefined {
    const { minLeaf } = this.settings;
    const count = samples.length;
    if (count < 2 * minLeaf) return undefined;
    let total = 0;
    let squares = 0;
    for (const i of samples) {
      total += targets[i]!;
      squares += targets[i]! ** 2;
    }
    const base = total ** 2 / count;
    // Rounding must not split what is constant.
    let bestGain = 1e-10 * squares;
    let best: Split | undefined;
    const { sums, counts } = this;
    for (const place of this.drawPlaces()) {
      const bins = this.columns.bins[place]!;
      const [lows, highs] = [this.columns.lows[place]!, this.columns.highs[place]!];
      if (lows.length === 1) continue;
      sums.fill(0, 0, lows.length);
      counts.fill(0, 0, lows.length);
      for (const i of samples) {
        const bin = bins[i]!;
        sums[bin]! += targets[i]!;
        counts[bin]!++;
      }
      let left = 0;
      let leftCount = 0;
      let previous = -1;
      for (let bin = 0; bin < lows.length; bin++) {
        if (counts[bin] === 0) continue;
        const rightCount = count - leftCount;
        if (rightCount < minLeaf) break;
        if (previous >= 0 && leftCount >= minLeaf) {
          const gain = left ** 2 / leftCount + (total - left) ** 2 / rightCount - base;
          if (gain > bestGain) {
            bestGain = gain;
            best = { place, bin: previous, threshold: between(lows, highs[previous]!, lows[bin]!) };
          }
        }
        left += sums[bin]!;
        leftCount += counts[bin]!;
        previous = bin;
      }
    }
    return best;
  }

  private drawPlaces(): readonly number[] {
    const all = Array.from({ length: this.columns.bins.length }, (_, i) => i);
    const { places } = this.settings;
    if (places === undefined || places >= all.length) return all;
    if (this.random === undefined)
      throw new RangeError('Cannot draw places: a random generator is needed: there is none');
    return this.random.shuffle(all).slice(0, places);
  }
}

/** Calls `visit` with what every tree says of the row that begins at `offset`. */
export function askTrees(
  { roots, places, thresholds, lefts, values }: FlatForest,
  rows: Float32Array,
  offset: number,
  visit: (value: number) => void,
): void {
  for (const root of roots) {
    let node = root;
    for (let place = places[node]!; place >= 0; place = places[node]!) {
      node = rows[offset + place]! <= thresholds[node]! ? lefts[node]! : lefts[node]! + 1;
    }
    visit(values[node]!);
  }
}

/** A forest in float32, for asking and storing it. */
export interface FlatForest {
  readonly roots: Int32Array;
  readonly places: Int32Array;
  readonly thresholds: Float32Array;
  readonly lefts: Int32Array;
  readonly values: Float32Array;
}

export const flatten = ({ roots, places, thresholds, lefts, values }: Forest): FlatForest => ({
  roots: Int32Array.from(roots),
  places: Int32Array.from(places),
  thresholds: Float32Array.from(thresholds),
  lefts: Int32Array.from(lefts),
  values: Float32Array.from(values),
});
