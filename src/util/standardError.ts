/** How far figures of finite samples may be from what they estimate. */
import { kendallTauB } from './statistics.js';

/**
 * Standard error of a fraction that was found on `count` images: sqrt(p(1 - p) / n). Where none or all are right that would be 0,
 * though nobody knows so much: there, the half-width of Wilson's interval for one standard deviation. Throws RangeError for what is
 * no fraction, and for no images.
 */
export function fractionStandardError(fraction: number, count: number): number {
  if (!(fraction >= 0 && fraction <= 1) || !(count > 0)) {
    throw new RangeError(
      `Cannot compute a standard error: a fraction from 0 to 1 of at least one image is wanted: they are ${fraction} and ${count}`,
    );
  }
  return Math.max(Math.sqrt((fraction * (1 - fraction)) / count), 0.5 / (count + 1));
}

/** Standard deviation of Kendall's tau of `count` pairs that have nothing to do with each other. NaN below two. */
export const chanceTau = (count: number): number =>
  count < 2 ? Number.NaN : Math.sqrt((2 * (2 * count + 5)) / (9 * count * (count - 1)));

/**
 * Standard error of Kendall's tau-b by the jackknife, O(n²); where it tells nothing (fewer than three values, ties only), that of
 * chance. NaN below two. Throws as `kendallTauB`.
 */
export function kendallTauStandardError(a: readonly number[], b: readonly number[]): number {
  const tau = kendallTauB(a, b);
  const n = a.length;
  if (n < 3 || Number.isNaN(tau)) return chanceTau(n);
  const agreement = new Float64Array(n);
  const unequalA = new Float64Array(n);
  const unequalB = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      const [x, y] = [Math.sign(a[i]! - a[j]!), Math.sign(b[i]! - b[j]!)];
      agreement[i]! += x * y;
      unequalA[i]! += Math.abs(x);
      unequalB[i]! += Math.abs(y);
    }
  }
  // Every pair counts twice in these sums.
  const total = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0) / 2;
  const [all, pairsA, pairsB] = [total(agreement), total(unequalA), total(unequalB)];
  const without = Array.from(
    agreement,
    (own, i) => (all - own) / Math.sqrt((pairsA - unequalA[i]!) * (pairsB - unequalB[i]!)),
  );
  const mean = without.reduce((sum, value) => sum + value, 0) / n;
  const squares = without.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const error = Math.sqrt(((n - 1) / n) * squares);
  return Number.isFinite(error) ? error : chanceTau(n);
}

/** Standard error of the root of the mean square of `errors`, by the delta method; in their unit. NaN below two. */
export function rootMeanSquareStandardError(errors: readonly number[]): number {
  const n = errors.length;
  const squares = errors.map((error) => error ** 2);
  const mean = squares.reduce((sum, square) => sum + square, 0) / n;
  if (n < 2) return Number.NaN;
  if (mean === 0) return 0;
  const variance = squares.reduce((sum, square) => sum + (square - mean) ** 2, 0) / (n - 1);
  return Math.sqrt(variance / n) / (2 * Math.sqrt(mean));
}

/**
 * Standard error of the difference of two accuracies on the same images, which is less than that of two on images of their own.
 * `onlyFirst`, `onlySecond`: images that one alone gets right. Never 0.
 */
export function pairedStandardError(onlyFirst: number, onlySecond: number, count: number): number {
  const variance = onlyFirst + onlySecond - (onlyFirst - onlySecond) ** 2 / count;
  return Math.max(Math.sqrt(variance) / count, 0.5 / (count + 1));
}
