/**
 * Regression trees on least squares (Breiman et al., Classification and regression trees, 1984, chapter 8), and forests of
 * them as flat tables (docs/decisions/0010-own-trees-and-process.md). Columns are sorted once into bins, so a node costs its
 * samples times the places.
 */
import { UserError } from '../../util/errors.js';
import type { Random } from '../../util/random.js';
import { tensor, type Tensor } from '../../util/tensor.js';
import type { StoredModel } from '../definePredictor.js';

/** More values than this of one place are cut at quantiles; encodings have two or three. */
const MOST_BINS = 256;

/** The samples of a fit, place by place. */
export interface BinnedColumns {
  readonly count: number;
  /** One a place: the bin of every sample. */
  readonly bins: readonly Uint8Array[];
  /** One a place: what goes left of a cut behind each bin but the last, float32; ascending. */
  readonly cuts: readonly Float32Array[];
}

/** `rows`: [count, width]. Bins are single values where there are few; cuts lie half-way between them. */
export function binColumns(rows: Float32Array, count: number, width: number): BinnedColumns {
  const bins: Uint8Array[] = [];
  const cuts: Float32Array[] = [];
  for (let place = 0; place < width; place++) {
    const column = Float32Array.from({ length: count }, (_, row) => rows[row * width + place]!);
    const sorted = column.toSorted();
    const values = sorted.filter((value, i) => i === 0 || value !== sorted[i - 1]);
    const cut =
      values.length <= MOST_BINS
        ? values.subarray(1).map((upper, i) => between(values[i]!, upper))
        : quantileCuts(sorted);
    bins.push(Uint8Array.from(column, (value) => countBelow(cut, value)));
    cuts.push(cut);
  }
  return { count, bins, cuts };
}

/** A float32 c with lower <= c < upper. */
function between(lower: number, upper: number): number {
  const middle = Math.fround(lower + (upper - lower) / 2);
  return middle < upper ? middle : lower;
}

function quantileCuts(sorted: Float32Array): Float32Array {
  const cuts: number[] = [];
  for (let i = 1; i < MOST_BINS; i++) {
    const at = Math.floor((i * sorted.length) / MOST_BINS);
    if (sorted[at - 1]! < sorted[at]!) cuts.push(between(sorted[at - 1]!, sorted[at]!));
  }
  return Float32Array.from(cuts);
}

/** How many cuts are below the value. */
function countBelow(cuts: Float32Array, value: number): number {
  let low = 0;
  let high = cuts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (cuts[middle]! < value) low = middle + 1;
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
  /** What a leaf predicts, float32; 0 for others. */
  readonly values: readonly number[];
}

interface Split {
  readonly place: number;
  readonly bin: number;
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
    private readonly random: Random,
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
        this.values[node] = Math.fround((shrinkage * sum) / samples.length);
        continue;
      }
      const bins = this.columns.bins[split.place]!;
      this.places[node] = split.place;
      this.thresholds[node] = this.columns.cuts[split.place]![split.bin]!;
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
  askLast(rows: Float32Array, offset: number): number {
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
      const last = this.columns.cuts[place]!.length;
      if (last === 0) continue;
      sums.fill(0, 0, last + 1);
      counts.fill(0, 0, last + 1);
      for (const i of samples) {
        const bin = bins[i]!;
        sums[bin]! += targets[i]!;
        counts[bin]!++;
      }
      let left = 0;
      let leftCount = 0;
      for (let bin = 0; bin < last; bin++) {
        if (counts[bin] === 0) continue;
        left += sums[bin]!;
        leftCount += counts[bin]!;
        const rightCount = count - leftCount;
        if (leftCount < minLeaf) continue;
        if (rightCount < minLeaf) break;
        const gain = left ** 2 / leftCount + (total - left) ** 2 / rightCount - base;
        if (gain <= bestGain) continue;
        bestGain = gain;
        best = { place, bin };
      }
    }
    return best;
  }

  private drawPlaces(): readonly number[] {
    const all = Array.from({ length: this.columns.bins.length }, (_, i) => i);
    const { places } = this.settings;
    return places === undefined || places >= all.length ? all : this.random.shuffle(all).slice(0, places);
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

/** A forest in typed arrays, for asking it. */
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

const parts = ['roots', 'places', 'thresholds', 'lefts', 'values'] as const;

export function forestTensors(forest: FlatForest): Map<string, Tensor> {
  return new Map(parts.map((name) => [name, tensor([forest[name].length], Float32Array.from(forest[name]))]));
}

/** Throws UserError where the tensors are no forest over `stored.width` places: what is asked always comes to a leaf. */
export function storedForest(
  predictor: string,
  stored: StoredModel,
  trees: number,
  nodes: number,
): FlatForest {
  const read = (name: (typeof parts)[number], length: number): Float32Array => stored.tensor(name, [length]);
  const forest = flatten({
    roots: [...read('roots', trees)],
    places: [...read('places', nodes)],
    thresholds: [...read('thresholds', nodes)],
    lefts: [...read('lefts', nodes)],
    values: [...read('values', nodes)],
  });
  const isNode = (index: number): boolean => index >= 0 && index < nodes;
  const sound =
    forest.roots.every(isNode) &&
    forest.places.every(
      (place, node) =>
        place === -1 ||
        (place >= 0 && place < stored.width && forest.lefts[node]! > node && isNode(forest.lefts[node]! + 1)),
    );
  if (sound) return forest;
  throw new UserError(
    `Cannot restore accuracy predictor "${predictor}": nodes of its trees must ask places of the encoding and point to later nodes: some do not`,
  );
}
