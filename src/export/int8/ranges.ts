/** Which range of an activation its 256 numbers cover: what is cut off against how coarse the rest becomes. */
import { activationGrid, onGrid, type Range } from './affine.js';

/** Counts of values in bins of equal width over [min, max]. */
export interface Histogram extends Range {
  readonly counts: Float64Array;
}

export const RANGE_METHODS = ['min-max', 'percentile', 'mse'] as const;
export type RangeMethod = (typeof RANGE_METHODS)[number];

export const BINS = 2048;
/** Part of the values that `percentile` cuts off at either end. */
const CUT = 1e-4;
/** Ends that `mse` tries, from the whole range down to this part of it. */
const STEPS = 60;
const SHORTEST = 0.2;

export const emptyHistogram = ({ min, max }: Range): Histogram => ({
  min,
  max,
  counts: new Float64Array(max > min ? BINS : 1),
});

/** Values outside the range count as its ends. */
export function count({ min, max, counts }: Histogram, values: Float32Array): void {
  const last = counts.length - 1;
  const perUnit = last === 0 ? 0 : counts.length / (max - min);
  for (const value of values) {
    const bin = Math.floor((value - min) * perUnit);
    counts[bin < 0 ? 0 : bin > last ? last : bin]!++;
  }
}

const centre = ({ min, max, counts }: Histogram, bin: number): number =>
  min + ((bin + 0.5) * (max - min)) / counts.length;

/** Mean squared distance from the values to the grid of a range. */
export function squaredError(histogram: Histogram, range: Range): number {
  const grid = activationGrid(range);
  let sum = 0;
  let total = 0;
  histogram.counts.forEach((n, bin) => {
    if (n === 0) return;
    const x = centre(histogram, bin);
    sum += n * (x - onGrid(x, grid)) ** 2;
    total += n;
  });
  return total === 0 ? 0 : sum / total;
}

function percentile({ min, max, counts }: Histogram): Range {
  const total = counts.reduce((sum, n) => sum + n, 0);
  const width = (max - min) / counts.length;
  const bound = (bins: Iterable<number>): number => {
    let below = 0;
    for (const bin of bins) {
      below += counts[bin]!;
      if (below > CUT * total) return bin;
    }
    return 0;
  };
  const up = counts.keys();
  const down = [...counts.keys()].reverse();
  return { min: min + bound(up) * width, max: min + (bound(down) + 1) * width };
}

/** One end after the other: the lower has little to gain once the upper is right, as most activations start near 0. */
function leastError(histogram: Histogram): Range {
  const factors = Array.from({ length: STEPS }, (_, i) => 1 - (i * (1 - SHORTEST)) / (STEPS - 1));
  const best = (candidates: readonly Range[]): Range =>
    candidates
      .map((range) => ({ range, error: squaredError(histogram, range) }))
      .reduce((a, b) => (b.error < a.error ? b : a)).range;
  const { min, max } = histogram;
  const upper = best(factors.map((f) => ({ min, max: Math.max(max * f, min) })));
  return best(factors.map((f) => ({ min: Math.min(min * f, upper.max), max: upper.max })));
}

const choose: Record<RangeMethod, (histogram: Histogram) => Range> = {
  'min-max': ({ min, max }) => ({ min, max }),
  percentile,
  mse: leastError,
};

/** A range within that of the histogram. */
export function chooseRange(histogram: Histogram, method: RangeMethod): Range {
  const { min, max } = histogram;
  return min === max ? { min, max } : choose[method](histogram);
}
