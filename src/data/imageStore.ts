/**
 * Where pixels are: a description that crosses into worker threads, and a reader opened from it. Two kinds serve every
 * data set: images that fit in memory, shared by all threads, and files that are decoded when they are asked for.
 */
import type { Image } from './augment/image.js';
import { withChannels, type ImageChannels } from './channels.js';
import { decodeImage } from './decodeImage.js';
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
  /** Of the images that readers give: grey and colour are made of each other. */
  readonly channels: ImageChannels;
  /** Of `pixels`; default: the same. */
  readonly storedChannels?: ImageChannels;
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
  /** Of the images that readers give: grey and colour are made of each other. */
  readonly channels: ImageChannels;
  /** Photos whose shorter side is longer are shrunk to it while they are decoded. */
  readonly maxShortSide: number;
}

export type ImageStore = MemoryStore | FileStore;

export interface ImageReader {
  /** Pixels of one image, not to be written to. Throws (or rejects with) DecodeError. */
  read(ref: ExampleRef): Image<Uint8Array> | Promise<Image<Uint8Array>>;
}

/** `cache`: where decoded files are kept for the next epoch. */
export function openImages(store: ImageStore, cache?: PixelCacheMemory): ImageReader {
  return store.kind === 'memory' ? openMemory(store) : openFiles(store, cache);
}

function openMemory({
  channels,
  storedChannels = channels,
  height,
  width,
  pixels,
}: MemoryStore): ImageReader {
  const bytes = storedChannels * height * width;
  const all = new Uint8Array(pixels);
  return {
    read: ({ position }) => {
      const data = all.subarray(position * bytes, (position + 1) * bytes);
      return withChannels({ channels: storedChannels, height, width, data }, channels);
    },
  };
}

function openFiles(store: FileStore, memory: PixelCacheMemory | undefined): ImageReader {
  const cache = memory && new PixelCache(memory, store.channels);
  return {
    read({ position, file }) {
      const known = cache?.get(position);
      if (known !== undefined) return known;
      if (file === undefined) throw new TypeError('Cannot read an image file: the reference must name it');
      return decodeImage(`${store.root}/${file}`, store.maxShortSide, store.channels).then((image) => {
        cache?.set(position, image);
        return image;
      });
    },
  };
}
