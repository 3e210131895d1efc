/**
 * Zero-cost proxies: scores of a network that was never trained, from one batch of images. One file each in this folder.
 *
 * What they have in common is the protocol of Abdelfattah et al., "Zero-cost proxies for lightweight NAS" (ICLR 2021) and
 * its code (SamsungLabs/zero-cost-nas, `foresight/pruners`): the network as it is initialised, one batch of labelled
 * images, batch norm on the batch's own statistics, no dropout; saliencies are summed over the weights of convolutions and
 * dense layers. Larger means better for all of them.
 */
import type { BlockSpec, LayerSpec, Network } from '../../space/network.js';
import { staticNetwork } from '../../space/only.js';
import { blockParameters } from '../../space/parameters.js';
import type { Tensor } from '../../util/tensor.js';
import type { BlockPasses } from './passes.js';

export interface ProxyInput {
  /** Of the network by itself (`plainBlocks`). */
  readonly blocks: readonly BlockSpec[];
  /** Tensors of `blocks` by full name. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** [N, C, S, S]. */
  readonly images: Tensor;
  /** Class of each image. */
  readonly labels: Int32Array;
  readonly passes: BlockPasses;
}

export interface ProxyDefinition {
  readonly name: string;
  readonly description: string;
  /** Larger is better. Not finite where the definition gives the network no score (e.g. a singular kernel matrix). */
  score(input: ProxyInput): Promise<number>;
}

/** The network as a chain of blocks without elastic kernels and dropout: what proxies look at. */
export function plainBlocks(network: Network): BlockSpec[] {
  const keep = ({ kind }: LayerSpec): boolean => kind !== 'dropout';
  return staticNetwork(network).blocks.map((block) => ({
    ...block,
    layers: block.layers.filter(keep),
    shortcut: typeof block.shortcut === 'string' ? block.shortcut : block.shortcut.filter(keep),
  }));
}

/** Full names of the weights of convolutions and dense layers: what saliencies are summed over. */
export function weightNames(blocks: readonly BlockSpec[]): string[] {
  return blocks.flatMap((block) =>
    blockParameters(block, 'used')
      .filter(({ role }) => role === 'weight')
      .map(({ name }) => `${block.name}.${name}`),
  );
}
