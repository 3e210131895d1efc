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

/** Row-major [n, n], without noise. `rows`: [n, width]. */
export function kernelMatrix(rows: Float32Array, count: number, parameters: KernelParameters): Float64Array {
  const { scales, variance } = parameters;
  const width = scales.length;
  const scaled = Float64Array.from(rows, (value, i) => value * scales[i % width]!);
  const matrix = new Float64Array(count * count);
  for (let i = 0; i < count; i++) {
    for (let j = 0; j <= i; j++) {
      let square = 0;
      for (let p = 0, a = i * width, b = j * width; p < width; p++, a++, b++) {
        const difference = scaled[a]! - scaled[b]!;
        square += difference * difference;
      }
      matrix[i * count + j] = matrix[j * count + i] = variance * Math.exp(-0.5 * square);
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
  const moments = new Float64Array(width);
  let trace = 0;
  let total = 0;
  for (let i = 0; i < n; i++) {
    trace += inverse[i * n + i]! - alpha[i]! ** 2;
    total += (inverse[i * n + i]! - alpha[i]! ** 2) * kernel[i * n + i]!;
    for (let j = 0; j < i; j++) {
      // Both halves of the symmetric matrix at once.
      const weight = 2 * (inverse[i * n + j]! - alpha[i]! * alpha[j]!) * kernel[i * n + j]!;
      total += weight;
      for (let p = 0, a = i * width, b = j * width; p < width; p++, a++, b++) {
        const difference = rows[a]! - rows[b]!;
        moments[p]! += weight * difference * difference;
      }
    }
  }
  gradient[0]! += 0.5 * total;
  gradient[1]! += 0.5 * trace * Math.exp(log[1]!);
  for (let p = 0; p < width; p++) gradient[2 + p]! -= 0.5 * moments[p]! * scales[p]! ** 2;
  return { value, gradient };
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
  for (let iteration = 0; iteration < ITERATIONS; iteration++) {
    signal?.throwIfAborted();
    const { value, gradient } = negativeLogPosterior(current, prior, rows, targets);
    if (value < best.value) best = { value, log: current.slice() };
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
