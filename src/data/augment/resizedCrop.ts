/** A box of random area and shape, resized to the wanted size (Szegedy et al. 2015, section 6; as torchvision draws it). */
import { z } from 'zod';
import type { Random } from '../../util/random.js';
import type { Box, Image, Size } from './image.js';
import { resize } from './resize.js';

const range = (low: number, high: number): z.ZodType<readonly [number, number]> =>
  z
    .tuple([z.number().min(low).max(high), z.number().min(low).max(high)])
    .refine(([from, to]) => from <= to, 'wanted a range [low, high]')
    .readonly();

export const resizedCropSchema = z.strictObject({
  step: z.literal('resizedCrop'),
  /** Share of the image's area. */
  scale: range(0.001, 1).default([0.08, 1]),
  /** Width over height, drawn evenly on a logarithmic scale. */
  ratio: range(0.01, 100).default([3 / 4, 4 / 3]),
});

export interface ResizedCropOptions {
  readonly scale: readonly [number, number];
  readonly ratio: readonly [number, number];
}

/** torchvision gives up after ten boxes that do not fit, and takes the largest central one of allowed shape. */
const ATTEMPTS = 10;

export function drawBox(size: Size, { scale, ratio }: ResizedCropOptions, random: Random): Box {
  const { height, width } = size;
  const uniform = (low: number, high: number): number => low + (high - low) * random.float();
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const area = height * width * uniform(scale[0], scale[1]);
    const aspect = Math.exp(uniform(Math.log(ratio[0]), Math.log(ratio[1])));
    const w = Math.round(Math.sqrt(area * aspect));
    const h = Math.round(Math.sqrt(area / aspect));
    if (w < 1 || h < 1 || w > width || h > height) continue;
    return { top: random.int(height - h + 1), left: random.int(width - w + 1), height: h, width: w };
  }
  const shape = Math.min(Math.max(width / height, ratio[0]), ratio[1]);
  const w = Math.max(1, Math.min(width, Math.round(height * shape)));
  const h = Math.max(1, Math.min(height, Math.round(width / shape)));
  return { top: Math.floor((height - h) / 2), left: Math.floor((width - w) / 2), height: h, width: w };
}

/** Result: float32 [C, imageSize, imageSize]. */
export function resizedCrop(
  image: Image,
  options: ResizedCropOptions,
  random: Random,
  imageSize: number,
): Image<Float32Array> {
  return resize(image, { height: imageSize, width: imageSize }, drawBox(image, options, random));
}
