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
  /** Of the images as they are stored, or as they are read. */
  readonly normalisation: (dataset: Dataset) => Promise<Normalisation>;
  readonly ignored?: readonly IgnoredFiles[];
  readonly remarks?: readonly string[];
}

/** Puts a data set together. Throws UserError when a split would be empty. */
export function createDataset(parts: DatasetParts): Dataset {
  const { classes, labels, splits } = parts;
  const { source, images } = inChannels(parts, parts.source.channels);
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
    ignored: parts.ignored ?? [],
    remarks: parts.remarks ?? [],
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
    normalisation: () => (normalisation ??= normalisationInChannels(parts, dataset)),
  };
  return dataset;
}

/**
 * The store with images of `channels`, and the source that says so: only where that is not what the data set has by
 * itself, so that one data set has one source.
 */
function inChannels(
  { source, images }: Pick<DatasetParts, 'source' | 'images'>,
  channels: ImageChannels | undefined,
): Pick<DatasetParts, 'source' | 'images'> {
  const { channels: _, ...plain } = source;
  if (channels === undefined || channels === images.channels) return { source: plain, images };
  const converted: ImageStore =
    images.kind === 'memory'
      ? { ...images, channels, storedChannels: images.channels }
      : { ...images, channels };
  return { source: { ...plain, channels }, images: converted };
}

/** Published constants hold for stored images; those of grey made of colour have to be measured. */
async function normalisationInChannels(parts: DatasetParts, dataset: Dataset): Promise<Normalisation> {
  const given = await parts.normalisation(dataset);
  const channels = dataset.imageChannels;
  if (given.mean.length === channels) return given;
  if (channels === 1) return measureNormalisation(dataset);
  const repeat = (values: readonly number[]): number[] => Array.from({ length: channels }, () => values[0]!);
  return { mean: repeat(given.mean), std: repeat(given.std) };
}

/** One wording for images that cannot be decoded, wherever they turn up. */
export function corruptImage(name: string, reason: string): UserError {
  return new UserError(
    `Cannot decode ${name}: ${reason}; remove the file, or have corrupt images skipped (onCorrupt "skip", --on-corrupt skip)`,
  );
}
