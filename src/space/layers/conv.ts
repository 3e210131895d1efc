import { outputSize } from '../shape.js';
import type { LayerParameter, LayerRule } from './rule.js';

export interface ConvLayer {
  readonly kind: 'conv';
  readonly name: string;
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernel: number;
  readonly stride: number;
  /** 1, or `inChannels` for a depthwise convolution. Padding is `kernel >> 1` on every side. */
  readonly groups: number;
  readonly bias: boolean;
  /**
   * Sizes the supernet offers here, descending; the first is the stored one. A smaller active `kernel` is the centre of
   * the stored one, at each step down multiplied with a learned matrix where `kernelTransform` is set (OFA, section
   * 3.2; `EN/modules/dynamic_op.py:75-102`).
   */
  readonly kernelChoices: readonly number[];
  readonly kernelTransform: boolean;
}

/** Kernel sizes from the stored one down to the active one, e.g. [7, 5, 3]. */
export function kernelChain(layer: ConvLayer): number[] {
  return layer.kernelChoices.filter((size) => size >= layer.kernel);
}

/** `transform7to5`: name of the matrix between two kernel sizes. */
export function transformSuffix(from: number, to: number): string {
  return `transform${from}to${to}`;
}

const kernelWeights = ({ inChannels, outChannels, groups, kernel }: ConvLayer): number =>
  outChannels * (inChannels / groups) * kernel * kernel;

export const conv: LayerRule<ConvLayer> = {
  output: ({ outChannels, kernel, stride }, { height, width }) => ({
    channels: outChannels,
    height: outputSize(height, kernel, stride),
    width: outputSize(width, kernel, stride),
  }),
  macs: (layer, { height, width }) => kernelWeights(layer) * height * width,
  params: (layer) => kernelWeights(layer) + (layer.bias ? layer.outChannels : 0),
  /** Weight [out, in / groups, k, k] of the largest k; kernel transforms [k*k, k*k] for the smaller k of each step. */
  parameters(layer, which) {
    const { inChannels, outChannels, groups, bias } = layer;
    const chain = which === 'stored' ? layer.kernelChoices : kernelChain(layer);
    const stored = chain[0]!;
    const list: LayerParameter[] = [['weight', 'weight', [outChannels, inChannels / groups, stored, stored]]];
    for (let i = 1; i < chain.length && layer.kernelTransform; i++) {
      const area = chain[i]! ** 2;
      list.push([transformSuffix(chain[i - 1]!, chain[i]!), 'kernelTransform', [area, area]]);
    }
    if (bias) list.push(['bias', 'bias', [outChannels]]);
    return list;
  },
  alongChannels: ({ groups, inChannels, outChannels, bias }) =>
    groups === inChannels && groups === outChannels
      ? [['weight', 0], ...(bias ? ([['bias', 0]] as const) : [])]
      : undefined,
  allocates: true,
};
