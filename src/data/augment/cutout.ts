/** Blanks a square around a random centre, cut at the border (DeVries and Taylor 2017, section 3.2). */
import { z } from 'zod';
import type { Random } from '../../util/random.js';
import type { Image } from './image.js';

export const cutoutSchema = z.strictObject({
  step: z.literal('cutout'),
  /** Side of the square as a share of the image's shorter side; CIFAR-10's usual 16 of 32 is 0.5. */
  size: z.number().min(0).max(1).default(0.5),
});

/** `fill`: one value a channel, the data set's mean, so that the hole is 0 once normalised. */
export function blanked(
  image: Image,
  side: number,
  centre: { readonly y: number; readonly x: number },
  fill: readonly number[],
): Image<Float32Array> {
  const { channels, height, width } = image;
  const data = new Float32Array(image.data);
  const top = centre.y - Math.floor(side / 2);
  const left = centre.x - Math.floor(side / 2);
  const from = Math.max(0, left);
  const to = Math.min(width, left + side);
  for (let c = 0; c < channels; c++) {
    for (let y = Math.max(0, top); y < Math.min(height, top + side); y++) {
      const row = (c * height + y) * width;
      if (from < to) data.fill(fill[c]!, row + from, row + to);
    }
  }
  return { channels, height, width, data };
}

export function cutout(
  image: Image,
  options: { readonly size: number },
  random: Random,
  fill: readonly number[],
): Image<Float32Array> {
  const side = Math.round(options.size * Math.min(image.height, image.width));
  const y = random.int(image.height);
  const x = random.int(image.width);
  return blanked(image, side, { y, x }, fill);
}
