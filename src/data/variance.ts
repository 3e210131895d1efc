/** Images that show nothing: nothing can be learned from them, and training on them goes out of bounds. */
import { UserError } from '../util/errors.js';
import type { Batch } from './batchSource.js';
import type { Dataset } from './dataset.js';

/** Training images that are looked at, at most: as a rule the first shows something. */
const SAMPLE = 256;

/**
 * Throws UserError where the first training images (splits are shuffled) are all of one and the same colour. Images that cannot
 * be decoded are left to who reads them all.
 */
export async function requireVariance(dataset: Dataset): Promise<void> {
  const count = Math.min(SAMPLE, dataset.splitSize('train'));
  let colour: readonly number[] | undefined;
  let seen = 0;
  for (let index = 0; index < count; index++) {
    const image = await dataset.decode('train', index).catch((error: unknown) => {
      if (error instanceof UserError) return undefined;
      throw error;
    });
    if (image === undefined) continue;
    seen++;
    const area = image.data.length / dataset.imageChannels;
    colour ??= Array.from({ length: dataset.imageChannels }, (_, channel) => image.data[channel * area]!);
    const base = colour;
    if (image.data.some((value, i) => value !== base[Math.floor(i / area)])) return;
  }
  if (colour === undefined) return;
  const shown = colour.every((value) => value === 0) ? 'black' : `of the colour ${colour.join(', ')}`;
  throw new UserError(
    `Cannot train on data set "${dataset.name}": its images must differ: every pixel of ${seen === 1 ? 'the training image' : `${seen} training images`} that ${seen === 1 ? 'was' : 'were'} looked at is ${shown}; look at the files, and at what wrote them`,
  );
}

/** What is wrong with the images of a batch on which a loss is not finite; undefined where nothing is. */
export function batchProblem({ images }: Batch): string | undefined {
  const { data } = images;
  if (!data.every((value) => Number.isFinite(value))) return 'its images hold values that are not finite';
  const image = data.length / images.shape[0]!;
  const area = images.shape[2]! * images.shape[3]!;
  const flat = data.every((value, i) => value === data[Math.floor((i % image) / area) * area]);
  return flat ? `its ${images.shape[0]!} images are all of one colour` : undefined;
}
