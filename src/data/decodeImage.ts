/** Pixels of image files. What an image looks like depends neither on its size nor on the form of its file. */
import { open, readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import type { Sharp } from 'sharp';
import { fromInterleaved, type Image, type Size } from './augment/image.js';
import { bmpSize, decodeBmp } from './bmp.js';
import { onWhite, withChannels, type ImageChannels } from './channels.js';
import { HEAD_BYTES, imageFormOf, READABLE_FORMS, type ImageForm } from './imageForms.js';

/** An image that cannot be decoded; the message says why, the caller adds which. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
}

/**
 * Most pixels of an image, 8192 x 8192. A file of 30 KB may hold a hundred times what its size promises, and several are
 * decoded at once: with this bound none takes more than half a gigabyte.
 */
export const MAX_PIXELS = 2 ** 26;

const oneLine = (cause: unknown): string =>
  (cause instanceof Error ? cause.message : String(cause)).replace(/\s+/g, ' ').trim();

const tooLarge = ({ width, height }: Size): DecodeError =>
  new DecodeError(
    `it has ${width} x ${height} pixels, more than the ${MAX_PIXELS} (8192 x 8192) that are decoded; make it smaller`,
  );

const isTooLarge = ({ width, height }: Size): boolean => width * height > MAX_PIXELS;

/** The form of a file by its content; undefined where it is no known image. Rejects as the file system does. */
export async function formOfFile(path: string): Promise<ImageForm | undefined> {
  const handle = await open(path);
  try {
    const head = new Uint8Array(HEAD_BYTES);
    const { bytesRead } = await handle.read(head, 0, HEAD_BYTES, 0);
    return imageFormOf(head.subarray(0, bytesRead), extname(path));
  } finally {
    await handle.close();
  }
}

/** Throws DecodeError where the content is not a form that is read, whatever the file's name says. */
function requireReadable(bytes: Uint8Array, path: string): ImageForm {
  const form = imageFormOf(bytes, extname(path));
  if (form?.readable === true) return form;
  const what = bytes.length === 0 ? 'the file is empty' : `it is ${form?.name ?? 'no image'}`;
  throw new DecodeError(`${what}; wanted is ${READABLE_FORMS}`);
}

/** sharp is loaded at the first call. A truncated or damaged file must be seen, not filled up with grey: hence `failOn`. */
async function openSharp(bytes: Uint8Array, form: ImageForm): Promise<Sharp> {
  const { default: sharp } = await import('sharp');
  if (form.name === 'BMP') {
    const size = bmpSize(bytes);
    if (isTooLarge(size)) throw tooLarge(size);
    const { width, height, channels, data } = decodeBmp(bytes);
    return sharp(data, { raw: { width, height, channels } });
  }
  return sharp(bytes, { failOn: 'truncated', sequentialRead: true, limitInputPixels: MAX_PIXELS });
}

/** Why `decodeImage` failed: sharp says neither how large an image is nor how large it may be. */
async function explain(bytes: Uint8Array, cause: unknown): Promise<DecodeError> {
  if (cause instanceof DecodeError) return cause;
  if (cause instanceof Error && cause.message.includes('pixel limit')) {
    const { default: sharp } = await import('sharp');
    const size = await sharp(bytes, { limitInputPixels: false })
      .metadata()
      .catch(() => undefined);
    if (size !== undefined) return tooLarge(size);
  }
  return new DecodeError(oneLine(cause), { cause });
}

/**
 * JPEG, PNG, WebP, TIFF, GIF, AVIF (of several pictures the first) or BMP to uint8 [channels, H, W] in sRGB. The camera's
 * orientation is applied, transparency is laid on white, photos whose shorter side is longer than `maxShortSide` are
 * shrunk to it, and grey and colour are made of each other. Rejects with DecodeError.
 */
export async function decodeImage(
  path: string,
  maxShortSide: number,
  channels: ImageChannels,
): Promise<Image<Uint8Array>> {
  let bytes: Uint8Array | undefined;
  try {
    bytes = await readFile(path);
    const image = await openSharp(bytes, requireReadable(bytes, path));
    const { data, info } = await image
      .autoOrient()
      .resize(maxShortSide, maxShortSide, { fit: 'outside', withoutEnlargement: true })
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    return withChannels(opaque(data, info.channels, info), channels);
  } catch (cause) {
    throw await explain(bytes ?? new Uint8Array(), cause);
  }
}

/** Images of 1 to 4 interleaved channels without transparency, as one or three planes. */
function opaque(bytes: Uint8Array, channels: number, { height, width }: Size): Image<Uint8Array> {
  const size = { height, width };
  return channels === 2 || channels === 4
    ? fromInterleaved(onWhite(bytes, channels), channels - 1, size)
    : fromInterleaved(bytes, channels, size);
}

/** Size of an image file by its header, as stored; undefined where the header is damaged or the file is none. */
export async function imageSize(path: string): Promise<Size | undefined> {
  try {
    const bytes = await readFile(path);
    const form = requireReadable(bytes, path);
    if (form.name === 'BMP') return bmpSize(bytes);
    const { default: sharp } = await import('sharp');
    const { height, width } = await sharp(bytes, { limitInputPixels: false }).metadata();
    return { height, width };
  } catch {
    // Whoever decodes the image reports it.
    return undefined;
  }
}
