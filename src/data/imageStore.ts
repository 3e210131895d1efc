/**
 * Where pixels are: a description that crosses into worker threads, and a reader opened from it. Two kinds serve every
 * data set: images that fit in memory, shared by all threads, and files that are decoded when they are asked for.
 */
import { readFile } from 'node:fs/promises';
import { fromInterleaved, type Image } from './augment/image.js';
import { PixelCache, type PixelCacheMemory } from './pixelCache.js';

/** One image of a store. */
export interface ExampleRef {
  /** Place among all examples of the data set, whatever their split. */
  readonly position: number;
  /** Path relative to a file store's root. */
  readonly file?: string;
}

/** Images of one size, decoded once. `pixels`: uint8 [count, C, H, W]. */
export interface MemoryStore {
  readonly kind: 'memory';
  readonly channels: 1 | 3;
  readonly height: number;
  readonly width: number;
  readonly pixels: SharedArrayBuffer;
}

/** Image files below `root`. */
export interface FileStore {
  readonly kind: 'files';
  readonly root: string;
  /** Number of files. */
  readonly count: number;
  readonly channels: 3;
  /** Photos whose shorter side is longer are shrunk to it while they are decoded. */
  readonly maxShortSide: number;
}

export type ImageStore = MemoryStore | FileStore;

export interface ImageReader {
  /** Pixels of one image, not to be written to. Throws (or rejects with) DecodeError. */
  read(ref: ExampleRef): Image<Uint8Array> | Promise<Image<Uint8Array>>;
}

/** An image that cannot be decoded; the message says why, the caller adds which. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
}

/** `cache`: where decoded files are kept for the next epoch. */
export function openImages(store: ImageStore, cache?: PixelCacheMemory): ImageReader {
  return store.kind === 'memory' ? openMemory(store) : openFiles(store, cache);
}

function openMemory({ channels, height, width, pixels }: MemoryStore): ImageReader {
  const bytes = channels * height * width;
  const all = new Uint8Array(pixels);
  return {
    read: ({ position }) => ({
      channels,
      height,
      width,
      data: all.subarray(position * bytes, (position + 1) * bytes),
    }),
  };
}

function openFiles(store: FileStore, memory: PixelCacheMemory | undefined): ImageReader {
  const cache = memory && new PixelCache(memory, store.channels);
  return {
    read({ position, file }) {
      const known = cache?.get(position);
      if (known !== undefined) return known;
      if (file === undefined) throw new TypeError('Cannot read an image file: the reference must name it');
      return decodeFile(`${store.root}/${file}`, store.maxShortSide).then((image) => {
        cache?.set(position, image);
        return image;
      });
    },
  };
}

/**
 * JPEG, PNG or WebP to uint8 [3, H, W] in sRGB: grey is spread to three channels, alpha dropped, and the camera's
 * orientation applied. sharp is loaded at the first call.
 */
async function decodeFile(path: string, maxShortSide: number): Promise<Image<Uint8Array>> {
  const { default: sharp } = await import('sharp');
  try {
    // A truncated or damaged file must be seen, not filled up with grey: hence the strict failOn.
    const { data, info } = await sharp(await readFile(path), { failOn: 'truncated', sequentialRead: true })
      .autoOrient()
      .resize(maxShortSide, maxShortSide, { fit: 'outside', withoutEnlargement: true })
      .toColourspace('srgb')
      .removeAlpha()
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    const { channels, height, width } = info;
    const image = fromInterleaved(data, channels, { height, width });
    if (channels === 3) return image;
    const spread = new Uint8Array(3 * height * width);
    for (let c = 0; c < 3; c++) spread.set(image.data.subarray(0, height * width), c * height * width);
    return { channels: 3, height, width, data: spread };
  } catch (cause) {
    throw new DecodeError((cause as Error).message.replace(/\s+/g, ' ').trim(), { cause });
  }
}
