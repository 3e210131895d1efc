/** Sizes of what passes between layers. */

export interface ImageShape {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** Spatial size after a window of `kernel` and `stride` with `padding` on every side. */
export function outputSize(size: number, kernel: number, stride: number, padding = kernel >> 1): number {
  return Math.floor((size + 2 * padding - kernel) / stride) + 1;
}

/** Numbers in an image or feature map. */
export function shapeElements({ channels, height, width }: ImageShape): number {
  return channels * height * width;
}
