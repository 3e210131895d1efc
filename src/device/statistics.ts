/** Statistics of timing samples. Outliers are counted and flagged, never dropped. */
import {
  mean,
  median,
  medianAbsoluteDeviation,
  quantileSorted,
  sampleStandardDeviation,
} from 'simple-statistics';

/** Two-sided 95 % points of Student's t for 1, 2, … degrees of freedom (any table of the distribution). */
const STUDENT_95 = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131,
  2.12, 2.11, 2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/** Half-width of the 95 % confidence interval of the mean of independent values; Infinity for fewer than two. */
export function halfWidth95(values: readonly number[]): number {
  if (values.length < 2) return Number.POSITIVE_INFINITY;
  const t = STUDENT_95[values.length - 2] ?? 1.96 + 2.5 / (values.length - 1);
  return (t * sampleStandardDeviation([...values])) / Math.sqrt(values.length);
}

/**
 * How many of `n` samples may lie above the 90th percentile before the estimate loses its 99 % confidence: the largest
 * t with P(Binomial(n, 0.1) <= t) <= 0.01; 0 where there is none (n < 64 for t = 1).
 */
export function mlperfOverlatency(n: number): number {
  const tail = 0.1;
  // In logarithms: 0.9^n underflows for some thousands of samples.
  let logProbability = n * Math.log(1 - tail);
  let cumulative = Math.exp(logProbability);
  let t = -1;
  while (cumulative <= 0.01 && t < n) {
    t++;
    logProbability += Math.log(((n - t) / (t + 1)) * (tail / (1 - tail)));
    cumulative += Math.exp(logProbability);
  }
  return Math.max(t, 0);
}

/**
 * 90th percentile by the early-stopping rule of MLPerf inference ("Early stopping", inference rules): the t - 1 slowest
 * samples are set aside and the slowest of the rest is reported, a bound that holds with 99 % confidence. `null` for
 * fewer than 64 samples.
 */
export function earlyStoppingP90(samples: readonly number[]): number | null {
  const t = mlperfOverlatency(samples.length);
  if (t < 1) return null;
  return [...samples].sort((a, b) => b - a)[t - 1]!;
}

/** Correlation of each sample with its successor; 0 for constant or fewer than three samples. */
export function lag1Autocorrelation(samples: readonly number[]): number {
  if (samples.length < 3) return 0;
  const centre = mean([...samples]);
  let product = 0;
  let square = 0;
  samples.forEach((value, i) => {
    square += (value - centre) ** 2;
    if (i > 0) product += (value - centre) * (samples[i - 1]! - centre);
  });
  return square === 0 ? 0 : product / square;
}

export interface OutlierCounts {
  /** Outside 1.5, but not 3, interquartile ranges of the quartiles. */
  readonly mild: number;
  /** Outside 3 interquartile ranges. */
  readonly severe: number;
}

/** Tukey's fences. */
export function outlierCounts(samples: readonly number[]): OutlierCounts {
  if (samples.length === 0) return { mild: 0, severe: 0 };
  const sorted = [...samples].sort((a, b) => a - b);
  const low = quantileSorted(sorted, 0.25);
  const high = quantileSorted(sorted, 0.75);
  const range = high - low;
  const outside = (fences: number): number =>
    samples.filter((value) => value < low - fences * range || value > high + fences * range).length;
  const severe = outside(3);
  return { mild: outside(1.5) - severe, severe };
}

/** Whether two values differ by at most `tolerance` of the second. */
export function within(value: number, reference: number, tolerance: number): boolean {
  return Math.abs(value - reference) <= tolerance * reference;
}

/** The standard deviation of normal values over their median absolute deviation. */
const DEVIATION_OVER_MAD = 1.4826;
/** Fewer readings do not tell how far they scatter. */
const FEW_READINGS = 8;
/** What they may differ by, in tolerances. */
const FEW_READINGS_TOLERANCES = 2;
/** A machine whose readings scatter more than so many times the tolerance is not steady, whatever it usually does. */
const MOST_TOLERANCES = 3;

/**
 * By what share a reading may differ from the median of `readings` and still be of the same machine: `tolerance`, or
 * three standard deviations of the readings where they scatter more, as on virtual machines whose neighbours come and
 * go. The deviation is a robust one, so a machine that was slower for less than half of the time widens nothing.
 */
export function driftTolerance(readings: readonly number[], tolerance: number): number {
  if (readings.length < FEW_READINGS) return FEW_READINGS_TOLERANCES * tolerance;
  const values = [...readings];
  const scatter = (3 * DEVIATION_OVER_MAD * medianAbsoluteDeviation(values)) / median(values);
  return Math.min(Math.max(tolerance, scatter), MOST_TOLERANCES * tolerance);
}

/** Whether the medians of the last two windows of `times` agree. */
export function isSteady(times: readonly number[], window: number, tolerance: number): boolean {
  if (times.length < 2 * window) return false;
  const last = median(times.slice(-window));
  const before = median(times.slice(-2 * window, -window));
  return within(last, before, tolerance);
}
