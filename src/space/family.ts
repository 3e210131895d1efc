/** A family of networks: how a definition becomes genes and blocks. One file each in families/. */
import type { z } from 'zod';
import type { Architecture } from './architecture.js';
import type { Gene } from './gene.js';
import type { BlockSpec } from './network.js';

/** What every family has, and `--width`, `--classes`, `--image-sizes` override. */
export interface SpaceParameters {
  readonly inputChannels: number;
  /** Elastic resolution, ascending. */
  readonly imageSizes: readonly number[];
  readonly classes: number;
  /** Width multiplier of every layer. */
  readonly width: number;
  readonly dropout: number;
  readonly batchNorm: { readonly epsilon: number; readonly momentum: number };
}

export interface SpaceFamily<D> {
  readonly name: string;
  /** Of the family's own part of space.json. */
  readonly schema: z.ZodType<D>;
  /** All genes but the image size, in the order in which architectures are encoded. */
  genes(definition: D): Gene[];
  /** The chain of blocks of an architecture that is known to be in the space; the last one ends in logits. */
  blocks(definition: D, parameters: SpaceParameters, arch: Architecture): BlockSpec[];
}
