/** Pads with black on all sides and cuts a window of the original size from a random place: "pad 4, crop 32". */
import { z } from 'zod';
import type { Random } from '../../util/random.js';
import type { Image } from './image.js';

export const padCropSchema = z.strictObject({
  step: z.literal('padCrop'),
  /** Pixels on each side, at the image's own size. */
  padding: z.int().min(0).max(64),
});

/** The window `dy`, `dx` pixels into the padded image, both in [0, 2 * padding]. */
export function cropPadded(image: Image, padding: number, dy: number, dx: number): Image<Float32Array> {
  const { channels, height, width, data } = image;
  const out = new Float32Array(channels * height * width);
  const shiftY = dy - padding;
  const shiftX = dx - padding;
  const fromX = Math.max(0, -shiftX);
  const toX = Math.min(width, width - shiftX);
  for (let y = Math.max(0, -shiftY); y < Math.min(height, height - shiftY); y++) {
    for (let c = 0; c < channels; c++) {
      const target = (c * height + y) * width;
      const source = (c * height + y + shiftY) * width + shiftX;
      for (let x = fromX; x < toX; x++) out[target + x] = data[source + x]!;
    }
  }
  return { channels, height, width, data: out };
}

export function padCrop(
  image: Image,
  options: { readonly padding: number },
  random: Random,
): Image<Float32Array> {
  const places = 2 * options.padding + 1;
  const dy = random.int(places);
  const dx = random.int(places);
  return cropPadded(image, options.padding, dy, dx);
}
