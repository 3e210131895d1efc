/**
 * What a data set is. Three disjoint splits, fixed by `splitSeed`: `train` moves weights and recalibrates batch norm,
 * `validation` is all that predictors and searches may see, `test` is for final figures.
 */
import type { AugmentationPolicy } from './augment/policy.js';
import type { Image, Size } from './augment/image.js';
import type { ImageChannels } from './channels.js';
import type { IgnoredFiles } from './ignoredFiles.js';
import type { ExampleRef, ImageStore } from './imageStore.js';

export const SPLITS = ['train', 'validation', 'test'] as const;
export type Split = (typeof SPLITS)[number];

/** Per channel, in units of the pixel range [0, 1]: `normalised = (pixel / 255 - mean) / std`. */
export interface Normalisation {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** An image that cannot be decoded: `fail` stops the work with its name, `skip` leaves it out and counts it. */
export type OnCorrupt = 'skip' | 'fail';

export interface DatasetOptions {
  /** Which examples fall into which split; independent of a training's seed, so that runs compare. Default 0. */
  readonly splitSeed?: number;
  /**
   * Share that becomes `validation`, above 0 and at most 0.8: of `train` where the source has a test part of its own (default 0.1),
   * else of all images (default 0.15). A source that has a validation part of its own refuses it.
   */
  readonly validationFraction?: number;
  /** Default `fail`. */
  readonly onCorrupt?: OnCorrupt;
  /** Channels of its images: grey and colour are made of each other. Default: as the data set has them. */
  readonly channels?: ImageChannels | undefined;
}

/**
 * A data set as plain JSON: `openDataset(source)` gives the same splits, example for example, in any thread or process
 * that sees the same files.
 */
export interface DatasetSource extends Required<Omit<DatasetOptions, 'channels'>> {
  /** Registry name, e.g. `cifar10`. */
  readonly name: string;
  /** Folder of its files; where it is found without one, undefined. */
  readonly path?: string | undefined;
  /** `validationFraction` where it was asked for: it also counts for a source without a test part, whose default is another. */
  readonly validationOfAll?: number | undefined;
  /** Present only where images are converted. */
  readonly channels?: ImageChannels | undefined;
  /**
   * `name`: the split of an example follows from its name, whatever other examples there are. Absent: from the whole list, as
   * in data sets that do not change, and in runs of before there was another rule.
   */
  readonly splitRule?: 'name' | undefined;
}

export interface Dataset {
  readonly name: string;
  readonly source: DatasetSource;
  /** Class names; a label is an index into them. */
  readonly classes: readonly string[];
  readonly imageChannels: ImageChannels;
  /** Size of every image, or undefined where sizes vary. */
  readonly imageSize: Size | undefined;
  readonly defaultPolicy: AugmentationPolicy;
  /** How to get at pixels; structured-clone-able, so worker threads open it by themselves. */
  readonly images: ImageStore;
  /** What its folder holds beside images that are read, by reason; empty for sources without such. */
  readonly ignored: readonly IgnoredFiles[];
  /** What a user should know of how its folder was understood, a sentence each. */
  readonly remarks: readonly string[];

  /** Number of examples of a split. */
  splitSize(split: Split): number;
  /** The examples below throw RangeError for an index outside the split. */
  label(split: Split, index: number): number;
  /** What an error message calls the example: a file, or a position in one. */
  exampleName(split: Split, index: number): string;
  /** Where `images` has its pixels. */
  ref(split: Split, index: number): ExampleRef;
  /** Decoded pixels, uint8 [C, H, W]. Throws UserError naming the file when it cannot be decoded. */
  decode(split: Split, index: number): Promise<Image<Uint8Array>>;
  /** Constants of the data set, or computed once over a fixed sample of `train`. */
  normalisation(): Promise<Normalisation>;
}

/** A kind of data set: one file in sources/, one line in index.ts. */
export interface DatasetDefinition {
  readonly name: string;
  /** One line for lists: what it is and what its path must hold. */
  readonly summary: string;
  /** Throws UserError naming the file and what is wrong with it. */
  readonly open: (source: DatasetSource) => Promise<Dataset>;
}
