/** Mean and standard deviation of a folder's pixels. */
import { UserError } from '../../util/errors.js';
import type { Dataset, Normalisation } from '../dataset.js';

/** Enough for two digits of each figure; a second or two of decoding. */
const SAMPLE = 256;
const AT_ONCE = 8;

/**
 * Per channel over the first images of `train` (splits are shuffled: that is a random sample), every image with the same
 * weight. With `onCorrupt: 'skip'` damaged images are left out. Throws UserError naming an image that cannot be decoded.
 */
export async function measureNormalisation(dataset: Dataset): Promise<Normalisation> {
  const channels = dataset.imageChannels;
  const sums = new Float64Array(channels);
  const squares = new Float64Array(channels);
  let used = 0;
  const addImage = async (index: number): Promise<{ mean: number[]; square: number[] } | undefined> => {
    try {
      const { data } = await dataset.decode('train', index);
      return moments(data, channels);
    } catch (error) {
      if (error instanceof UserError && dataset.source.onCorrupt === 'skip') return undefined;
      throw error;
    }
  };
  const count = Math.min(SAMPLE, dataset.splitSize('train'));
  for (let first = 0; first < count; first += AT_ONCE) {
    const indices = Array.from({ length: Math.min(AT_ONCE, count - first) }, (_, i) => first + i);
    // Added in order, so that the sums do not depend on which image was decoded first.
    for (const image of await Promise.all(indices.map(addImage))) {
      if (image === undefined) continue;
      used++;
      for (let c = 0; c < channels; c++) {
        sums[c]! += image.mean[c]!;
        squares[c]! += image.square[c]!;
      }
    }
  }
  if (used === 0)
    throw new UserError(`Cannot use data set "${dataset.name}": none of ${count} images can be decoded`);
  const mean = Array.from(sums, (sum) => sum / used);
  // Images of one colour have no spread; 1 / 255 keeps the division harmless.
  const std = Array.from(squares, (sum, c) =>
    Math.max(1 / 255, Math.sqrt(Math.max(0, sum / used - mean[c]! ** 2))),
  );
  return { mean, std };
}

/** Mean of x and of x^2 per channel, x in [0, 1]. `data`: [C, H, W]. */
function moments(data: Uint8Array, channels: number): { mean: number[]; square: number[] } {
  const area = data.length / channels;
  const mean: number[] = [];
  const square: number[] = [];
  for (let c = 0; c < channels; c++) {
    let sum = 0;
    let sumOfSquares = 0;
    for (let i = c * area; i < (c + 1) * area; i++) {
      sum += data[i]!;
      sumOfSquares += data[i]! ** 2;
    }
    mean.push(sum / area / 255);
    square.push(sumOfSquares / area / 255 ** 2);
  }
  return { mean, square };
}
