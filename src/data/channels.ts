/** Grey and colour, made of each other; and what lies under transparency. */
import type { Image } from './augment/image.js';

/** Number of channels of images that a network takes. */
export type ImageChannels = 1 | 3;

/**
 * Grey of a colour: ITU-R 601 luma, `(299 R + 587 G + 114 B) / 1000` to the nearest whole number, as Pillow and torchvision
 * compute it. Grey stays exactly what it is.
 */
export function toGrey({ height, width, data }: Image<Uint8Array>): Image<Uint8Array> {
  const area = height * width;
  const grey = new Uint8Array(area);
  for (let r = 0, g = area, b = 2 * area; r < area; r++, g++, b++) {
    grey[r] = Math.floor((299 * data[r]! + 587 * data[g]! + 114 * data[b]! + 500) / 1000);
  }
  return { channels: 1, height, width, data: grey };
}

/** Grey in all three channels. */
export function toColour({ height, width, data }: Image<Uint8Array>): Image<Uint8Array> {
  const area = height * width;
  const colour = new Uint8Array(3 * area);
  for (let c = 0; c < 3; c++) colour.set(data.subarray(0, area), c * area);
  return { channels: 3, height, width, data: colour };
}

/** The image itself where it has that many channels. */
export function withChannels(image: Image<Uint8Array>, channels: ImageChannels): Image<Uint8Array> {
  if (image.channels === channels) return image;
  return channels === 1 ? toGrey(image) : toColour(image);
}

/**
 * Lays an image on white paper: `a c + (1 - a) 255`. `bytes`: [H, W, C] with C 2 (grey and alpha) or 4 (RGBA), alpha last,
 * colours not multiplied by it. Gives [H, W, C - 1].
 */
export function onWhite(bytes: Uint8Array, channels: 2 | 4): Uint8Array {
  const colours = channels - 1;
  const out = new Uint8Array((bytes.length / channels) * colours);
  for (let i = 0, o = 0; i < bytes.length; i += channels, o += colours) {
    const alpha = bytes[i + colours]!;
    for (let c = 0; c < colours; c++) {
      out[o + c] = Math.round((alpha * bytes[i + c]! + (255 - alpha) * 255) / 255);
    }
  }
  return out;
}
