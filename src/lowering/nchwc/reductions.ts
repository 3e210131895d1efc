/**
 * Sums over positions and images of blocked tensors. A sum of products over an image is a depthwise convolution whose
 * filter is the other factor as it lies in memory: it reads and never writes.
 */
import type { Shape } from '../../util/tensor.js';
import type { BlockedWriter } from './blockedWriter.js';

/** Planes of more elements are summed row by row first: long sums in float32 lose digits. */
const LONG_SUM = 1024;

/** A number for each channel of each image: `name`, N * padded C elements in that order, times `factor`. */
export interface PerImage {
  readonly name: string;
  readonly factor: number;
}

/** Means over height and width of a blocked tensor. */
export function imageMeans(w: BlockedWriter, x: string): PerImage {
  return { name: w.operator('GlobalAveragePool', [x]), factor: 1 };
}

/** Sums over height and width of the product of two blocked tensors of shape `dims`. */
export function imageProducts(w: BlockedWriter, x: string, y: string, dims: Shape): PerImage {
  const [n, c, h, width] = dims as [number, number, number, number];
  const rows = h * width > LONG_SUM ? h : 1;
  const planes = n * c * rows;
  const sums = w.convolution(
    w.reshape(x, [1, planes, h / rows, width]),
    w.reshape(y, [planes, 1, h / rows, width]),
    { kernel: [h / rows, width], groups: planes },
  );
  if (rows === 1) return { name: sums, factor: 1 };
  return { name: w.operator('GlobalAveragePool', [w.reshape(sums, [n, c, rows, 1])]), factor: rows };
}

/** Sum over the images times `factor`: [padded C]. */
export function sumOfImages(
  w: BlockedWriter,
  { name, factor: own }: PerImage,
  [n, c]: Shape,
  factor: number,
  outputs?: readonly string[],
): string {
  const weights = w.writer.floats(Array<number>(n!).fill(own * factor), [n!]);
  return w.node('MatMul', [weights, w.reshape(name, [n!, w.padded(c!)])], {}, outputs);
}
