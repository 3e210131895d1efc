/** The part of a data set that all kinds share: splits over a list of examples. */
import { UserError } from '../util/errors.js';
import type { AugmentationPolicy } from './augment/policy.js';
import type { Size } from './augment/image.js';
import { SPLITS, type Dataset, type DatasetSource, type Normalisation, type Split } from './dataset.js';
import type { ImageChannels } from './channels.js';
import { DecodeError } from './decodeImage.js';
import type { IgnoredFiles } from './ignoredFiles.js';
import { openImages, type ExampleRef, type ImageReader, type ImageStore } from './imageStore.js';
import { measureNormalisation } from './sources/measureNormalisation.js';
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
  readonly ignored?: readonly IgnoredFiles[];
  readonly remarks?: readonly string[];
}

/** Puts a data set together. Throws UserError when a split would be empty. */
export function createDataset(parts: DatasetParts): Dataset {
  const { classes, images, labels, splits } = parts;
  const { channels, ...source } = parts.source;
  for (const split of SPLITS) {
    if (splits[split].length > 0) continue;
    throw new UserError(
      `Cannot use data set "${source.name}"${source.path === undefined ? '' : ` in ${source.path}`}: ` +
        `at least one ${split} example is needed: it has ${labels.length} examples in all; add images`,
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
  let normalisation: Promise<Normalisation> | undefined;
  const dataset: Dataset = {
    name: source.name,
    source,
    classes,
    imageChannels: images.channels,
    imageSize: parts.imageSize,
    defaultPolicy: parts.defaultPolicy,
    images,
    ignored: parts.ignored ?? [],
    remarks: parts.remarks ?? [],
    splitSize: (split) => splits[split].length,
    label: (split, index) => labels[positionOf(split, index)]!,
    exampleName: (split, index) => parts.nameAt(positionOf(split, index)),
    ref: (split, index) => parts.refAt(positionOf(split, index)),
    decode: decoder(images, (split, index) => {
      const position = positionOf(split, index);
      return { ref: parts.refAt(position), name: parts.nameAt(position) };
    }),
    normalisation: () => (normalisation ??= parts.normalisation(dataset)),
  };
  return channels === undefined ? dataset : datasetInChannels(dataset, channels);
}

/** Decodes one example after the other with one reader, naming what cannot be decoded. */
function decoder(
  images: ImageStore,
  find: (split: Split, index: number) => { readonly ref: ExampleRef; readonly name: string },
): Dataset['decode'] {
  let reader: ImageReader | undefined;
  return async (split, index) => {
    const { ref, name } = find(split, index);
    reader ??= openImages(images);
    try {
      return await reader.read(ref);
    } catch (cause) {
      if (cause instanceof DecodeError) throw corruptImage(name, cause.message);
      throw cause;
    }
  };
}

/**
 * The same data set with images of `channels`: grey is repeated, colour becomes luma. Its source says so, and opens to the
 * same again.
 */
export function datasetInChannels(dataset: Dataset, channels: ImageChannels): Dataset {
  if (dataset.imageChannels === channels) return dataset;
  const images: ImageStore =
    dataset.images.kind === 'memory'
      ? {
          ...dataset.images,
          channels,
          storedChannels: dataset.images.storedChannels ?? dataset.imageChannels,
        }
      : { ...dataset.images, channels };
  let normalisation: Promise<Normalisation> | undefined;
  const converted: Dataset = {
    ...dataset,
    source: { ...dataset.source, channels },
    imageChannels: channels,
    images,
    decode: decoder(images, (split, index) => ({
      ref: dataset.ref(split, index),
      name: dataset.exampleName(split, index),
    })),
    normalisation: () => (normalisation ??= normalisationInChannels(dataset, converted)),
  };
  return converted;
}

/** Constants of grey hold for grey that is repeated; those of luma do not follow from those of colours, and are measured. */
async function normalisationInChannels(dataset: Dataset, converted: Dataset): Promise<Normalisation> {
  const given = await dataset.normalisation();
  const channels = converted.imageChannels;
  // A run's own, of the images that it was trained on.
  if (given.mean.length === channels) return given;
  if (channels === 1) return measureNormalisation(converted);
  const repeat = (values: readonly number[]): number[] => Array.from({ length: channels }, () => values[0]!);
  return { mean: repeat(given.mean), std: repeat(given.std) };
}

/** One wording for images that cannot be decoded, wherever they turn up. */
export function corruptImage(name: string, reason: string): UserError {
  return new UserError(
    `Cannot decode ${name}: ${reason}; remove the file, or have corrupt images skipped (onCorrupt "skip", --on-corrupt skip)`,
  );
}
