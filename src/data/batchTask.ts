/** One batch as a unit of work: a small description in, pixels out. The same in the calling thread and in a worker. */
import { createRandom } from '../util/random.js';
import type { Image } from './augment/image.js';
import { normaliseInto } from './augment/image.js';
import { augment, prepareForEvaluation, type AugmentationPolicy } from './augment/policy.js';
import type { Normalisation } from './dataset.js';
import { DecodeError } from './decodeImage.js';
import { openImages, type ExampleRef, type ImageReader, type ImageStore } from './imageStore.js';
import type { PixelCacheMemory } from './pixelCache.js';

/** What all batches of a loader share; given to a worker once. */
export interface BatchContext {
  readonly images: ImageStore;
  readonly policy: AugmentationPolicy;
  readonly normalisation: Normalisation;
  /** Where threads keep decoded files; images in memory need none. */
  readonly cache: PixelCacheMemory | undefined;
}

export interface BatchTask {
  readonly refs: readonly ExampleRef[];
  /** Side of the square images. */
  readonly imageSize: number;
  /**
   * How each example gets its chance: `createRandom(...seedParts, keys[i])`; undefined for evaluation, which has none.
   */
  readonly augment:
    { readonly seedParts: readonly (string | number)[]; readonly keys: readonly number[] } | undefined;
}

export interface BatchFailure {
  /** Place in the batch. */
  readonly at: number;
  /** `decode`: the image is damaged; `other`: an error of the program. */
  readonly kind: 'decode' | 'other';
  readonly reason: string;
}

export interface BatchPixels {
  /** float32 [refs, C, imageSize, imageSize], normalised; zeros where an example failed. */
  readonly images: Float32Array;
  readonly failures: readonly BatchFailure[];
}

/** A reader and its context, kept from batch to batch. */
export interface BatchMaker {
  make(task: BatchTask): Promise<BatchPixels>;
}

/** Files under way at the same time: decoding happens in libuv's four threads. */
const DECODES_AT_ONCE = 8;

export function createBatchMaker(context: BatchContext): BatchMaker {
  const reader = openImages(context.images, context.cache);
  return { make: (task) => makeBatch(context, reader, task) };
}

async function makeBatch(context: BatchContext, reader: ImageReader, task: BatchTask): Promise<BatchPixels> {
  const { refs, imageSize } = task;
  const exampleSize = context.images.channels * imageSize * imageSize;
  const images = new Float32Array(refs.length * exampleSize);
  const failures: BatchFailure[] = [];
  const fill = context.normalisation.mean.map((mean) => mean * 255);

  const place = (image: Image, at: number): void => {
    const prepared =
      task.augment === undefined
        ? prepareForEvaluation(image, context.policy, imageSize)
        : augment(image, context.policy, {
            random: createRandom(...task.augment.seedParts, task.augment.keys[at]!),
            imageSize,
            fill,
          });
    normaliseInto(prepared, context.normalisation, images, at * exampleSize);
  };
  const one = async (at: number): Promise<void> => {
    try {
      place(await reader.read(refs[at]!), at);
    } catch (error) {
      const kind = error instanceof DecodeError ? 'decode' : 'other';
      failures.push({ at, kind, reason: error instanceof Error ? error.message : String(error) });
    }
  };
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < refs.length) await one(next++);
  };
  const lanes = context.images.kind === 'memory' ? 1 : DECODES_AT_ONCE;
  await Promise.all(Array.from({ length: lanes }, lane));
  return { images, failures: failures.sort((a, b) => a.at - b.at) };
}
