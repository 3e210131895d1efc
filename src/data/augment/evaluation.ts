/** What an evaluated image goes through: no chance, only the size. */
import type { Image } from './image.js';
import { resize } from './resize.js';

/** The share of a resized photo's shorter side that the centre crop keeps: 224 of 256. */
const CENTRE_SHARE = 0.875;

/** Shorter side to ceil(imageSize / 0.875), then the central square (the reference's evaluation transform). */
export function centreCrop(image: Image, imageSize: number): Image<Float32Array> {
  const short = Math.ceil(imageSize / CENTRE_SHARE);
  const { height, width } = image;
  const size =
    height <= width
      ? { height: short, width: Math.floor((short * width) / height) }
      : { height: Math.floor((short * height) / width), width: short };
  return resize(image, size, undefined, {
    top: Math.floor((size.height - imageSize) / 2),
    left: Math.floor((size.width - imageSize) / 2),
    height: imageSize,
    width: imageSize,
  });
}

/** The whole image at the wanted size, as it is when it has that size already. */
export function plainResize(image: Image, imageSize: number): Image {
  if (image.height === imageSize && image.width === imageSize) return image;
  return resize(image, { height: imageSize, width: imageSize });
}
