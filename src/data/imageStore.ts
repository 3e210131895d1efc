/**
 * Where pixels are: a description that crosses into worker threads, and a reader opened from it. Two kinds serve every
 * data set: images that fit in memory, shared by all threads, and files that are decoded when they are asked for.
 */
import { fromInterleaved, type Image } from './augment/image.js';
import { LruCache } from './lruCache.js';

/** Position in a memory store, or path relative to a file store's root. */
export type ExampleRef = number | string;

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
  readonly channels: 3;
  /** Photos whose shorter side is longer are shrunk to it while they are decoded. */
  readonly maxShortSide: number;
}

export type ImageStore = MemoryStore | FileStore;

export interface ImageReader {
  /** Pixels of one image. Throws (or rejects with) DecodeError. */
  read(ref: ExampleRef): Image<Uint8Array> | Promise<Image<Uint8Array>>;
}

/** An image that cannot be decoded; the message says why, the caller adds which. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
}

type Openers = {
  readonly [K in ImageStore['kind']]: (
    store: Extract<ImageStore, { kind: K }>,
    cacheBytes: number,
  ) => ImageReader;
};

const openers: Openers = { memory: openMemory, files: openFiles };

/** `cacheBytes`: how much decoded pixel data of files is kept for the next epoch. */
export function openImages(store: ImageStore, cacheBytes: number): ImageReader {
  return store.kind === 'memory' ? openers.memory(store, cacheBytes) : openers.files(store, cacheBytes);
}

function openMemory({ channels, height, width, pixels }: MemoryStore): ImageReader {
  const bytes = channels * height * width;
  const all = new Uint8Array(pixels);
  return {
    read(ref) {
      const start = Number(ref) * bytes;
      return { channels, height, width, data: all.subarray(start, start + bytes) };
    },
  };
}

function openFiles(store: FileStore, cacheBytes: number): ImageReader {
  const cache = new LruCache<Image<Uint8Array>>(cacheBytes, (image) => image.data.byteLength);
  return {
    read(ref) {
      const path = `${store.root}/${ref}`;
      const known = cache.get(path);
      if (known !== undefined) return known;
      return decodeFile(path, store).then((image) => {
        cache.set(path, image);
        return image;
      });
    },
  };
}

/**
 * JPEG, PNG or WebP to uint8 [3, H, W] in sRGB: grey is spread to three channels, alpha dropped, and the camera's
 * orientation applied. sharp is loaded at the first call.
 */
async function decodeFile(path: string, { maxShortSide }: FileStore): Promise<Image<Uint8Array>> {
  const { default: sharp } = await import('sharp');
  try {
    // Every truncated or damaged file must be seen, not filled up with grey: hence the strict failOn.
    const input = sharp(path, { failOn: 'truncated' });
    const { width, height } = await input.metadata();
    const shrink = Math.min(width, height) > maxShortSide;
    const pipeline = shrink
      ? input.autoOrient().resize(maxShortSide, maxShortSide, { fit: 'outside' })
      : input.autoOrient();
    const { data, info } = await pipeline
      .toColourspace('srgb')
      .removeAlpha()
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    const size = { height: info.height, width: info.width };
    if (info.channels === 3) return fromInterleaved(data, 3, size);
    const grey = fromInterleaved(data, info.channels, size).data.subarray(0, size.height * size.width);
    const spread = new Uint8Array(3 * grey.length);
    for (let c = 0; c < 3; c++) spread.set(grey, c * grey.length);
    return { channels: 3, ...size, data: spread };
  } catch (cause) {
    throw new DecodeError((cause as Error).message.replace(/\s+/g, ' ').trim(), { cause });
  }
}
