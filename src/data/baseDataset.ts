/** The part of a data set that all kinds share: splits over a list of examples. */
import { UserError } from '../util/errors.js';
import type { AugmentationPolicy } from './augment/policy.js';
import type { Size } from './augment/image.js';
import { SPLITS, type Dataset, type DatasetSource, type Normalisation, type Split } from './dataset.js';
import { DecodeError, openImages, type ExampleRef, type ImageReader, type ImageStore } from './imageStore.js';
import type { SplitPositions } from './splits.js';

export interface DatasetParts {
  readonly source: DatasetSource;
  readonly classes: readonly string[];
  readonly imageSize: Size | undefined;
  readonly defaultPolicy: AugmentationPolicy;
  readonly images: ImageStore;
  /** Label of every example of the source, whatever its split. */
  readonly labels: ArrayLike<number>;
  readonly splits: SplitPositions;
  readonly refAt: (position: number) => ExampleRef;
  readonly nameAt: (position: number) => string;
  readonly normalisation: (dataset: Dataset) => Promise<Normalisation>;
}

/** Puts a data set together. Throws UserError when a split would be empty. */
export function createDataset(parts: DatasetParts): Dataset {
  const { source, classes, images, labels, splits } = parts;
  for (const split of SPLITS) {
    if (splits[split].length > 0) continue;
    throw new UserError(
      `Cannot use data set "${source.name}"${source.path === undefined ? '' : ` in ${source.path}`}: ` +
        `at least one ${split} example is needed: it has ${labels.length} examples in all`,
    );
  }
  const positionOf = (split: Split, index: number): number => {
    const position = splits[split][index];
    if (position === undefined) {
      throw new RangeError(
        `Cannot get an example of "${source.name}": ${split} index must be in [0, ${splits[split].length}): current value is ${index}`,
      );
    }
    return position;
  };
  let reader: ImageReader | undefined;
  let normalisation: Promise<Normalisation> | undefined;
  const dataset: Dataset = {
    name: source.name,
    source,
    classes,
    imageChannels: images.channels,
    imageSize: parts.imageSize,
    defaultPolicy: parts.defaultPolicy,
    images,
    splitSize: (split) => splits[split].length,
    label: (split, index) => labels[positionOf(split, index)]!,
    exampleName: (split, index) => parts.nameAt(positionOf(split, index)),
    ref: (split, index) => parts.refAt(positionOf(split, index)),
    decode: async (split, index) => {
      const position = positionOf(split, index);
      reader ??= openImages(images);
      try {
        return await reader.read(parts.refAt(position));
      } catch (cause) {
        if (cause instanceof DecodeError) throw corruptImage(parts.nameAt(position), cause.message);
        throw cause;
      }
    },
    normalisation: () => (normalisation ??= parts.normalisation(dataset)),
  };
  return dataset;
}

/** One wording for images that cannot be decoded, wherever they turn up. */
export function corruptImage(name: string, reason: string): UserError {
  return new UserError(
    `Cannot decode ${name}: ${reason}; remove the file, or have corrupt images skipped (onCorrupt "skip", --on-corrupt skip)`,
  );
}
