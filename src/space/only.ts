/** Spaces of one network: a subnet that was cut out of a supernet and is trained on, measured and exported by itself. */
import type { Architecture } from './architecture.js';
import { geneValue, isActive, type Gene } from './gene.js';
import type { BlockSpec, LayerSpec, Network } from './network.js';

/** The layer with nothing elastic about it: the active kernel is the stored one. */
function staticLayer(layer: LayerSpec): LayerSpec {
  return layer.kind === 'conv' ? { ...layer, kernelChoices: [layer.kernel], kernelTransform: false } : layer;
}

export function staticBlock(block: BlockSpec): BlockSpec {
  const { shortcut } = block;
  return {
    ...block,
    layers: block.layers.map(staticLayer),
    shortcut: typeof shortcut === 'string' ? shortcut : shortcut.map(staticLayer),
  };
}

/** The same network without elastic kernels: the one whose tensors `extractSubnet` gives. */
export function staticNetwork(network: Network): Network {
  return { ...network, blocks: network.blocks.map(staticBlock) };
}

/** The genes of a space of that one architecture; those that it switches off have their smallest value. */
export function onlyGenes(genes: readonly Gene[], arch: Architecture): Gene[] {
  return genes.map((gene) => ({
    ...gene,
    choices: [isActive(arch, gene) ? geneValue(arch, gene) : gene.choices[0]!],
  }));
}
