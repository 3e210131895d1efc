/** Names and shapes of the tensors a layer needs. Those of the largest architecture are what a supernet stores. */
import { layerRule, type LayerSpec } from './layers/index.js';
import type { ParameterRole, ParameterSelection } from './layers/rule.js';
import type { BlockSpec, Network } from './network.js';

export { transformSuffix } from './layers/conv.js';
export type { ParameterRole, ParameterSelection } from './layers/rule.js';

export interface ParameterSpec {
  /** `block.layer.suffix`, e.g. `stage2.block1.depthwise.weight`. */
  readonly name: string;
  readonly role: ParameterRole;
  /** As stored: an elastic kernel has its full size here, whatever the active one. */
  readonly shape: readonly number[];
}

/** Whether gradients move it; batch-norm statistics follow the data instead. */
export function isTrainable(role: ParameterRole): boolean {
  return role !== 'runningMean' && role !== 'runningVariance';
}

/** Weight decay spares batch norm and biases (`train_ofa_net.py:102-104`); kernel transforms are decayed. */
export function isDecayed(role: ParameterRole): boolean {
  return role === 'weight' || role === 'kernelTransform';
}

/** The tensors of one layer, local name first (`depthwise.weight`); dense layers are [out, in]. */
export function layerParameters(layer: LayerSpec, which: ParameterSelection): ParameterSpec[] {
  return layerRule(layer)
    .parameters(layer, which)
    .map(([suffix, role, shape]) => ({ name: `${layer.name}.${suffix}`, role, shape }));
}

/** Layers of a block in order, those of its shortcut last. */
export function blockLayers(block: BlockSpec): LayerSpec[] {
  return typeof block.shortcut === 'string' ? [...block.layers] : [...block.layers, ...block.shortcut];
}

/** The tensors of a block, names relative to the block: equal for blocks with equal signatures. */
export function blockParameters(block: BlockSpec, which: ParameterSelection): ParameterSpec[] {
  return blockLayers(block).flatMap((layer) => layerParameters(layer, which));
}

/** The tensors of a network by their full names. */
export function networkParameters(network: Network, which: ParameterSelection): ParameterSpec[] {
  return network.blocks.flatMap((block) =>
    blockParameters(block, which).map((parameter) => ({
      ...parameter,
      name: `${block.name}.${parameter.name}`,
    })),
  );
}
