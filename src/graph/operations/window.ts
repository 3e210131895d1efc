/**
 * Windows of pools: window (oy, ox) covers rows oy * stride - padding and the kernel - 1 after it, columns likewise;
 * what lies outside the image does not count.
 */
import type { Shape } from '../../util/tensor.js';
import { shapeError } from '../graph.js';

export interface PoolAttributes {
  readonly kernel: number;
  readonly stride: number;
  /** Rows above and columns left of the image that the first window covers. */
  readonly padding: number;
  /** Windows [vertically, horizontally]; rows and columns beyond the last ones are left out. */
  readonly windows: readonly [number, number];
}

/**
 * Shape of the pooled image. Throws TypeError unless `x` is [N, C, H, W] and every window has a part of it; `inputs` are
 * the operation's, for the message.
 */
export function pooledShape(
  operation: string,
  { kernel, stride, padding, windows }: PoolAttributes,
  x: Shape,
  inputs: readonly Shape[],
): Shape {
  const fits =
    x.length === 4 &&
    padding < kernel &&
    windows.every((n, i) => n > 0 && (n - 1) * stride < x[i + 2]! + padding);
  if (!fits) {
    throw shapeError(
      operation,
      `an image [N, C, H, W] under all of ${windows.join(' x ')} windows of ${kernel}, stride ${stride}, padding ${padding} is wanted`,
      inputs,
    );
  }
  return [x[0]!, x[1]!, ...windows];
}

/** Calls `visit` for every image position that window `iy` covers, row by row. */
export function forEachCovered(
  { kernel, stride, padding, windows }: PoolAttributes,
  [n, c, height, width]: Shape,
  visit: (ix: number, iy: number) => void,
): void {
  const [rows, columns] = windows;
  for (let image = 0; image < n! * c!; image++)
    for (let oy = 0; oy < rows; oy++)
      for (let ox = 0; ox < columns; ox++) {
        const [top, left] = [oy * stride - padding, ox * stride - padding];
        for (let y = Math.max(top, 0); y < Math.min(top + kernel, height!); y++)
          for (let x = Math.max(left, 0); x < Math.min(left + kernel, width!); x++)
            visit((image * height! + y) * width! + x, (image * rows + oy) * columns + ox);
      }
}

/** How many positions the windows reach beyond the end of an axis of `size`; negative: how many they leave out. */
export function overhang(
  { kernel, stride, padding, windows }: PoolAttributes,
  axis: 0 | 1,
  size: number,
): number {
  return (windows[axis] - 1) * stride + kernel - padding - size;
}

/** Attributes of ONNX's pools; the padding at the end is what makes them have this number of windows. */
export function onnxWindow(
  attributes: PoolAttributes,
  image: Shape,
): Readonly<Record<'kernel_shape' | 'strides' | 'pads', readonly number[]>> {
  const { kernel, stride, padding } = attributes;
  const end = ([0, 1] as const).map((axis) => Math.max(0, overhang(attributes, axis, image[axis + 2]!)));
  return { kernel_shape: [kernel, kernel], strides: [stride, stride], pads: [padding, padding, ...end] };
}
