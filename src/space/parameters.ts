/** Names and shapes of the tensors a layer needs. Those of the largest architecture are what a supernet stores. */
import { kernelChain, type BlockSpec, type LayerSpec, type Network } from './network.js';

export type ParameterRole =
  'weight' | 'bias' | 'normScale' | 'normShift' | 'runningMean' | 'runningVariance' | 'kernelTransform';

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

/** `weight`, `7to5`: name of the matrix between two kernel sizes. */
export function transformSuffix(from: number, to: number): string {
  return `transform${from}to${to}`;
}

/** `used`: what the layer computes with; `stored`: also what other kernel sizes of the supernet need. */
export type ParameterSelection = 'used' | 'stored';

/**
 * The tensors of one layer, local name first (`depthwise.weight`). Convolutions: weight [out, in / groups, k, k]; dense
 * layers: [out, in]; squeeze-excite: two dense layers; kernel transforms: [k*k, k*k] for the smaller k.
 */
export function layerParameters(layer: LayerSpec, which: ParameterSelection): ParameterSpec[] {
  const of = (suffix: string, role: ParameterRole, shape: readonly number[]): ParameterSpec => ({
    name: `${layer.name}.${suffix}`,
    role,
    shape,
  });
  switch (layer.kind) {
    case 'conv': {
      const chain = which === 'stored' ? layer.kernelChoices : kernelChain(layer);
      const stored = chain[0]!;
      const list = [
        of('weight', 'weight', [layer.outChannels, layer.inChannels / layer.groups, stored, stored]),
      ];
      for (let i = 1; i < chain.length && layer.kernelTransform; i++) {
        const area = chain[i]! ** 2;
        list.push(of(transformSuffix(chain[i - 1]!, chain[i]!), 'kernelTransform', [area, area]));
      }
      if (layer.bias) list.push(of('bias', 'bias', [layer.outChannels]));
      return list;
    }
    case 'batchNorm':
      return [
        of('weight', 'normScale', [layer.channels]),
        of('bias', 'normShift', [layer.channels]),
        of('runningMean', 'runningMean', [layer.channels]),
        of('runningVariance', 'runningVariance', [layer.channels]),
      ];
    case 'squeezeExcite':
      return [
        of('reduce.weight', 'weight', [layer.midChannels, layer.channels]),
        of('reduce.bias', 'bias', [layer.midChannels]),
        of('expand.weight', 'weight', [layer.channels, layer.midChannels]),
        of('expand.bias', 'bias', [layer.channels]),
      ];
    case 'linear':
      return [
        of('weight', 'weight', [layer.outFeatures, layer.inFeatures]),
        ...(layer.bias ? [of('bias', 'bias', [layer.outFeatures])] : []),
      ];
    default:
      return [];
  }
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
