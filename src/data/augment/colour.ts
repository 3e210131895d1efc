/**
 * Brightness and saturation by random factors in random order: the "tf" distortion that OFA trains with
 * (imagenet_classification/data_providers/imagenet.py:221-232: brightness 32/255, saturation 0.5), computed as torchvision's ColorJitter does.
 */
import { z } from 'zod';
import type { Random } from '../../util/random.js';
import type { Image } from './image.js';

export const colourSchema = z.strictObject({
  step: z.literal('colour'),
  /** The factor is drawn from [1 - b, 1 + b]. */
  brightness: z
    .number()
    .min(0)
    .max(1)
    .default(32 / 255),
  /** Likewise. Images of one channel have none. */
  saturation: z.number().min(0).max(1).default(0.5),
});

const clamp = (value: number): number => (value < 0 ? 0 : value > 255 ? 255 : value);

export function adjustBrightness(image: Image, factor: number): Image<Float32Array> {
  const out = new Float32Array(image.data.length);
  for (let i = 0; i < out.length; i++) out[i] = clamp(image.data[i]! * factor);
  return { channels: image.channels, height: image.height, width: image.width, data: out };
}

/** Blends with the image's luma (ITU-R 601: .299 R + .587 G + .114 B); factor 0 is grey, 1 leaves it as it is. */
export function adjustSaturation(image: Image, factor: number): Image<Float32Array> {
  const { channels, height, width, data } = image;
  const out = new Float32Array(data);
  if (channels === 3) {
    const area = height * width;
    for (let r = 0, g = area, b = 2 * area; r < area; r++, g++, b++) {
      const luma = (1 - factor) * (0.299 * data[r]! + 0.587 * data[g]! + 0.114 * data[b]!);
      out[r] = clamp(factor * data[r]! + luma);
      out[g] = clamp(factor * data[g]! + luma);
      out[b] = clamp(factor * data[b]! + luma);
    }
  }
  return { channels, height, width, data: out };
}

export function colour(
  image: Image,
  options: { readonly brightness: number; readonly saturation: number },
  random: Random,
): Image<Float32Array> {
  const brightness = 1 + options.brightness * (2 * random.float() - 1);
  const saturation = 1 + options.saturation * (2 * random.float() - 1);
  return random.float() < 0.5
    ? adjustSaturation(adjustBrightness(image, brightness), saturation)
    : adjustBrightness(adjustSaturation(image, saturation), brightness);
}
