/** Rank statistics that several folders share (accuracy predictors, latency predictors, benchmarks). */

function checkPairs(what: string, a: readonly number[], b: readonly number[]): void {
  if (a.length !== b.length) {
    throw new RangeError(
      `Cannot compute ${what}: lists must be of equal length: they have ${a.length} and ${b.length} values`,
    );
  }
  for (const list of [a, b]) {
    const bad = list.find((value) => Number.isNaN(value));
    if (bad !== undefined) throw new RangeError(`Cannot compute ${what}: values must be numbers: one is NaN`);
  }
}

const compare = (a: number, b: number): number => (a < b ? -1 : a > b ? 1 : 0);

/** Rounding must not carry it past 1. */
function correlation(product: number, a: number, b: number): number {
  return Math.max(-1, Math.min(1, product / Math.sqrt(a * b)));
}

/** Pairs within runs of equal neighbours. */
function tiedPairs(length: number, sameAsPrevious: (i: number) => boolean): number {
  let pairs = 0;
  let run = 1;
  for (let i = 1; i <= length; i++) {
    if (i < length && sameAsPrevious(i)) run++;
    else {
      pairs += (run * (run - 1)) / 2;
      run = 1;
    }
  }
  return pairs;
}

/** Sorts `values` in place by merging; returns how many pairs stood in the wrong order (ties are not wrong). */
function sortCountingInversions(values: number[]): number {
  let inversions = 0;
  let source = values;
  let target = new Array<number>(values.length);
  for (let width = 1; width < values.length; width *= 2) {
    for (let start = 0; start < values.length; start += 2 * width) {
      const middle = Math.min(start + width, values.length);
      const end = Math.min(start + 2 * width, values.length);
      let left = start;
      let right = middle;
      for (let out = start; out < end; out++) {
        if (left < middle && (right >= end || source[left]! <= source[right]!)) target[out] = source[left++]!;
        else {
          inversions += middle - left;
          target[out] = source[right++]!;
        }
      }
    }
    [source, target] = [target, source];
  }
  for (let i = 0; i < values.length; i++) values[i] = source[i]!;
  return inversions;
}

/**
 * Kendall's tau-b, exact with ties, O(n log n): W. R. Knight, "A computer method for calculating Kendall's tau with
 * ungrouped data", JASA 61 (1966). NaN where either list is constant or shorter than 2. Throws RangeError for lists of
 * unequal length or with NaN.
 */
export function kendallTauB(a: readonly number[], b: readonly number[]): number {
  checkPairs("Kendall's tau", a, b);
  const n = a.length;
  const order = Array.from({ length: n }, (_, i) => i).sort(
    (i, j) => compare(a[i]!, a[j]!) || compare(b[i]!, b[j]!),
  );
  const x = order.map((i) => a[i]!);
  const y = order.map((i) => b[i]!);
  const pairs = (n * (n - 1)) / 2;
  const tiedA = tiedPairs(n, (i) => x[i] === x[i - 1]);
  const tiedBoth = tiedPairs(n, (i) => x[i] === x[i - 1] && y[i] === y[i - 1]);
  const discordant = sortCountingInversions(y);
  const tiedB = tiedPairs(n, (i) => y[i] === y[i - 1]);
  const concordantMinusDiscordant = pairs - tiedA - tiedB + tiedBoth - 2 * discordant;
  return correlation(concordantMinusDiscordant, pairs - tiedA, pairs - tiedB);
}

/** Ranks from 1; equal values share the mean of their ranks. */
export function averageRanks(values: readonly number[]): number[] {
  const order = values.map((_, i) => i).sort((i, j) => compare(values[i]!, values[j]!));
  const ranks = new Array<number>(values.length);
  for (let start = 0; start < order.length;) {
    let end = start + 1;
    while (end < order.length && values[order[end]!] === values[order[start]!]) end++;
    for (let i = start; i < end; i++) ranks[order[i]!] = (start + end + 1) / 2;
    start = end;
  }
  return ranks;
}

/** Spearman's rho: Pearson's correlation of average ranks. NaN where either list is constant. Throws as `kendallTauB`. */
export function spearmanRho(a: readonly number[], b: readonly number[]): number {
  checkPairs("Spearman's rho", a, b);
  const x = averageRanks(a);
  const y = averageRanks(b);
  const mean = (a.length + 1) / 2;
  let xy = 0;
  let xx = 0;
  let yy = 0;
  for (let i = 0; i < x.length; i++) {
    xy += (x[i]! - mean) * (y[i]! - mean);
    xx += (x[i]! - mean) ** 2;
    yy += (y[i]! - mean) ** 2;
  }
  return correlation(xy, xx, yy);
}
