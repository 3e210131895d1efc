/**
 * The kernel of the Gaussian process and the choice of its hyperparameters.
 *
 *     k(x, x') = variance * exp(-1/2 sum_j (scale_j (x_j - x'_j))^2)     and noise on the diagonal
 *
 * Every place has a scale of its own (automatic relevance determination: Rasmussen and Williams, Gaussian processes for
 * machine learning, 5.1). As there may be as many places as samples, scales have a prior: with maximum likelihood alone a
 * hundred samples of NAS-Bench-Macro were ranked worse than with one scale for all.
 */
import { cholesky, choleskySolve, gramOfLower, invertLower, logDeterminant } from '../../util/cholesky.js';

export interface KernelParameters {
  readonly variance: number;
  readonly noise: number;
  /** One a place. */
  readonly scales: Float32Array;
}

/** Below this share of the targets' variance rounding would decide. */
export const LEAST_NOISE = 1e-4;
const PRIOR_LOG_NOISE = -3;
/** Of the normal prior of every logarithm. */
const PRIOR_DEVIATION = Math.SQRT1_2;
const ITERATIONS = 60;
/** It ends before that where so many iterations gained less than so many nats. */
const PATIENCE = 5;
const LEAST_GAIN = 0.05;

/**
 * Row-major [n, n], without noise. `rows`: [n, width]. The exponent is x.x' - |x|^2/2 - |x'|^2/2 of scaled rows, as products
 * take half the time of differences, four of them at once.
 */
export function kernelMatrix(rows: Float32Array, count: number, parameters: KernelParameters): Float64Array {
  const { scales, variance } = parameters;
  const width = scales.length;
  const scaled = new Float64Array(rows.length);
  const halves = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    let square = 0;
    for (let p = 0; p < width; p++) {
      const value = rows[i * width + p]! * scales[p]!;
      scaled[i * width + p] = value;
      square += value * value;
    }
    halves[i] = 0.5 * square;
  }
  const matrix = new Float64Array(count * count);
  const set = (i: number, j: number, product: number): void => {
    const value = variance * Math.exp(Math.min(0, product - halves[i]! - halves[j]!));
    matrix[i * count + j] = value;
    matrix[j * count + i] = value;
  };
  for (let i = 0; i < count; i++) {
    const a = i * width;
    matrix[i * count + i] = variance;
    let j = 0;
    for (; j + 3 < i; j += 4) {
      const b0 = j * width;
      const b1 = b0 + width;
      const b2 = b1 + width;
      const b3 = b2 + width;
      let v0 = 0;
      let v1 = 0;
      let v2 = 0;
      let v3 = 0;
      for (let p = 0; p < width; p++) {
        const value = scaled[a + p]!;
        v0 += value * scaled[b0 + p]!;
        v1 += value * scaled[b1 + p]!;
        v2 += value * scaled[b2 + p]!;
        v3 += value * scaled[b3 + p]!;
      }
      set(i, j, v0);
      set(i, j + 1, v1);
      set(i, j + 2, v2);
      set(i, j + 3, v3);
    }
    for (; j < i; j++) {
      let product = 0;
      for (let p = 0; p < width; p++) product += scaled[a + p]! * scaled[j * width + p]!;
      set(i, j, product);
    }
  }
  return matrix;
}

/** Logarithms of variance and noise, then of the scales. */
type LogParameters = Float64Array;

const toParameters = (log: LogParameters): KernelParameters => ({
  variance: Math.exp(log[0]!),
  noise: LEAST_NOISE + Math.exp(log[1]!),
  scales: Float32Array.from(log.subarray(2), Math.exp),
});

/**
 * Minus the logarithm of likelihood times prior, without constants, and its gradient. Rasmussen and Williams, 5.8 and 5.9:
 * d/dt = 1/2 tr((K^-1 - a a') dK/dt) with a = K^-1 y.
 */
export function negativeLogPosterior(
  log: LogParameters,
  prior: LogParameters,
  rows: Float32Array,
  targets: ArrayLike<number>,
): { readonly value: number; readonly gradient: Float64Array } {
  const n = targets.length;
  const parameters = toParameters(log);
  const { scales, noise } = parameters;
  const width = scales.length;
  const kernel = kernelMatrix(rows, n, parameters);
  const withNoise = kernel.slice();
  for (let i = 0; i < n; i++) withNoise[i * n + i]! += noise;
  const factor = cholesky(withNoise, n);
  const alpha = choleskySolve(factor, targets);
  const inverseLower = invertLower(factor);
  let value = 0.5 * logDeterminant(factor);
  for (let i = 0; i < n; i++) value += 0.5 * targets[i]! * alpha[i]!;
  const gradient = new Float64Array(log.length);
  for (let t = 0; t < log.length; t++) {
    const difference = (log[t]! - prior[t]!) / PRIOR_DEVIATION;
    value += 0.5 * difference ** 2;
    gradient[t] = difference / PRIOR_DEVIATION;
  }
  const inverse = gramOfLower(inverseLower, n);
  // (K^-1 - a a') times K, element by element: below the diagonal, where both halves count, and its sums by row.
  const weights = new Float64Array(n * n);
  const sums = new Float64Array(n);
  let trace = 0;
  let total = 0;
  for (let i = 0; i < n; i++) {
    trace += inverse[i * n + i]! - alpha[i]! ** 2;
    total += (inverse[i * n + i]! - alpha[i]! ** 2) * kernel[i * n + i]!;
    for (let j = 0; j < i; j++) {
      const weight = 2 * (inverse[i * n + j]! - alpha[i]! * alpha[j]!) * kernel[i * n + j]!;
      weights[i * n + j] = weight;
      total += weight;
      sums[i]! += weight;
      sums[j]! += weight;
    }
  }
  const moments = weightedMoments(weights, sums, rows, width);
  gradient[0]! += 0.5 * total;
  gradient[1]! += 0.5 * trace * Math.exp(log[1]!);
  for (let p = 0; p < width; p++) gradient[2 + p]! -= 0.5 * moments[p]! * scales[p]! ** 2;
  return { value, gradient };
}

/**
 * Of every place the sum over pairs of w_ij (x_i - x_j)^2, as sum_i s_i x_i^2 - 2 sum_i x_i sum_(j < i) w_ij x_j. `weights`:
 * below the diagonal; `sums`: of all pairs of a row.
 */
function weightedMoments(
  weights: Float64Array,
  sums: Float64Array,
  rows: Float32Array,
  width: number,
): Float64Array {
  const n = sums.length;
  const moments = new Float64Array(width);
  const mixed = new Float64Array(width);
  for (let i = 0; i < n; i++) {
    mixed.fill(0);
    let j = 0;
    for (; j + 3 < i; j += 4) {
      const w0 = weights[i * n + j]!;
      const w1 = weights[i * n + j + 1]!;
      const w2 = weights[i * n + j + 2]!;
      const w3 = weights[i * n + j + 3]!;
      const b0 = j * width;
      const b1 = b0 + width;
      const b2 = b1 + width;
      const b3 = b2 + width;
      for (let p = 0; p < width; p++) {
        mixed[p] =
          mixed[p]! + w0 * rows[b0 + p]! + w1 * rows[b1 + p]! + w2 * rows[b2 + p]! + w3 * rows[b3 + p]!;
      }
    }
    for (; j < i; j++) {
      const weight = weights[i * n + j]!;
      for (let p = 0; p < width; p++) mixed[p]! += weight * rows[j * width + p]!;
    }
    for (let p = 0; p < width; p++) {
      const x = rows[i * width + p]!;
      moments[p]! += x * (sums[i]! * x - 2 * mixed[p]!);
    }
  }
  return moments;
}

/** Scales at which samples are a kernel's length apart on average. */
function priorOf(rows: Float32Array, count: number, width: number): LogParameters {
  let spread = 0;
  for (let p = 0; p < width; p++) {
    let mean = 0;
    let square = 0;
    for (let i = 0; i < count; i++) {
      mean += rows[i * width + p]! / count;
      square += rows[i * width + p]! ** 2 / count;
    }
    // The mean square difference of two samples is twice the variance.
    spread += 2 * Math.max(0, square - mean ** 2);
  }
  const log = new Float64Array(width + 2).fill(spread > 0 ? -0.5 * Math.log(spread) : 0);
  log[0] = 0;
  log[1] = PRIOR_LOG_NOISE;
  return log;
}

/**
 * Hyperparameters of greatest posterior, climbed from the prior by Rprop, which Blum and Riedmiller, "Optimization of
 * Gaussian process hyperparameters using Rprop" (ESANN 2013), found as good as conjugate gradients. `rows`: [n, width];
 * targets of mean 0 and deviation 1.
 */
export function fitKernel(
  rows: Float32Array,
  targets: ArrayLike<number>,
  width: number,
  signal?: AbortSignal,
): KernelParameters {
  const prior = priorOf(rows, targets.length, width);
  const current = prior.slice();
  const steps = new Float64Array(current.length).fill(0.1);
  let previous: Float64Array = new Float64Array(current.length);
  let best = { value: Infinity, log: current.slice() };
  const reached: number[] = [];
  for (let iteration = 0; iteration < ITERATIONS; iteration++) {
    signal?.throwIfAborted();
    const { value, gradient } = negativeLogPosterior(current, prior, rows, targets);
    if (value < best.value) best = { value, log: current.slice() };
    reached.push(best.value);
    if (iteration >= PATIENCE && reached[iteration - PATIENCE]! - best.value < LEAST_GAIN) break;
    for (let t = 0; t < current.length; t++) {
      const agreement = gradient[t]! * previous[t]!;
      if (agreement > 0) steps[t] = Math.min(1, 1.2 * steps[t]!);
      else if (agreement < 0) {
        steps[t]! *= 0.5;
        // After a change of sign the place rests for one step (iRprop-).
        gradient[t] = 0;
      }
      current[t]! -= Math.sign(gradient[t]!) * steps[t]!;
    }
    previous = gradient;
  }
  return toParameters(best.log);
}
