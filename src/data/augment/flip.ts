/** Mirrors left and right. */
import { z } from 'zod';
import type { Random } from '../../util/random.js';
import type { Image } from './image.js';

export const flipSchema = z.strictObject({
  step: z.literal('flip'),
  probability: z.number().min(0).max(1).default(0.5),
});

export function flipped(image: Image): Image<Float32Array> {
  const { channels, height, width, data } = image;
  const out = new Float32Array(data.length);
  for (let row = 0; row < data.length; row += width) {
    for (let x = 0, last = row + width - 1; x < width; x++) out[row + x] = data[last - x]!;
  }
  return { channels, height, width, data: out };
}

export function flip(image: Image, options: { readonly probability: number }, random: Random): Image {
  return random.float() < options.probability ? flipped(image) : image;
}
