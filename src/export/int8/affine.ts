/**
 * Affine quantisation: real = scale * (integer - zero point), as ONNX's QuantizeLinear has it. Activations are uint8 with
 * a zero point, weights int8 around 0 with a scale for every output channel, biases int32 on the scale of the products
 * that they are added to: the form for which ONNX Runtime's CPU kernels exist (U8S8), and which costs no correction
 * terms for the weights (Jacob et al. 2018, "Quantization and Training of Neural Networks", section 2).
 */
import { roundHalfEven } from '../../util/rounding.js';

/** Of one activation tensor. */
export interface ActivationGrid {
  readonly scale: number;
  /** In [0, 255]: the integer that means 0. */
  readonly zeroPoint: number;
}

/** What is to be covered; `min` <= `max`. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

export const UINT8_MAX = 255;
/** Least scale: products of two must stay numbers of float32. */
const LEAST = 1e-18;
/** Room for the sum of products that comes on top of a bias in an int32. */
const LARGEST_BIAS = 2 ** 30;

const clamp = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high);

/**
 * The grid of a range, stretched to hold 0, which padding and ReLU need exactly. Scale 1 where the range is but 0. Throws
 * RangeError for a range that is not one of finite numbers.
 */
export function activationGrid({ min, max }: Range): ActivationGrid {
  if (!(Number.isFinite(min) && Number.isFinite(max) && min <= max))
    throw new RangeError(`Cannot quantise a range: finite numbers in order are wanted: [${min}, ${max}]`);
  const low = Math.min(min, 0);
  const high = Math.max(max, 0);
  const scale = Math.fround((high - low) / UINT8_MAX);
  if (!(scale > LEAST)) return { scale: 1, zeroPoint: 0 };
  return { scale, zeroPoint: clamp(roundHalfEven(-low / scale), 0, UINT8_MAX) };
}

/** The number of the grid that stands for `x`. */
export function onGrid(x: number, { scale, zeroPoint }: ActivationGrid): number {
  return scale * (clamp(roundHalfEven(x / scale) + zeroPoint, 0, UINT8_MAX) - zeroPoint);
}

export interface QuantizedWeights {
  /** As long as the weights; in [-limit, limit]. */
  readonly values: Int8Array;
  /** One for every channel, each above 0. */
  readonly scales: Float32Array;
  /** One for every channel, on the scales' products with the input's. */
  readonly bias: Int32Array | undefined;
}

/**
 * Weights [channels, ...] and bias [channels] of a layer whose input has scale `inputScale`. `limit`: largest integer of a
 * weight; 127, or 63 for kernels that add pairs of products in 16 bits. A channel without weights gets a scale with which
 * its bias can be told.
 */
export function quantizeWeights(
  weights: Float32Array,
  channels: number,
  { inputScale, bias, limit }: { inputScale: number; bias?: Float32Array | undefined; limit: number },
): QuantizedWeights {
  const size = weights.length / channels;
  const values = new Int8Array(weights.length);
  const scales = new Float32Array(channels);
  for (let c = 0; c < channels; c++) {
    const own = weights.subarray(c * size, (c + 1) * size);
    const largest = own.reduce((top, w) => Math.max(top, Math.abs(w)), 0);
    const least = Math.abs(bias?.[c] ?? 0) / (inputScale * LARGEST_BIAS);
    const scale = Math.fround(Math.max(largest / limit, least));
    scales[c] = scale > LEAST ? scale : 1;
    own.forEach((w, i) => (values[c * size + i] = clamp(roundHalfEven(w / scales[c]!), -limit, limit)));
  }
  return {
    values,
    scales,
    bias: bias && Int32Array.from(bias, (b, c) => roundHalfEven(b / biasScale(inputScale, scales[c]!))),
  };
}

/** In float32, as the file has it. */
export const biasScale = (inputScale: number, weightScale: number): number =>
  Math.fround(inputScale * weightScale);
