import { inPlace, type LayerRule } from './rule.js';

/** Global pooling, a dense layer with ReLU, a dense layer with hard sigmoid, both with bias; scales the channels. */
export interface SqueezeExciteLayer {
  readonly kind: 'squeezeExcite';
  readonly name: string;
  readonly channels: number;
  readonly midChannels: number;
}

export const squeezeExcite: LayerRule<SqueezeExciteLayer> = {
  ...inPlace,
  macs: ({ channels, midChannels }) => 2 * channels * midChannels,
  params: ({ channels, midChannels }) => 2 * channels * midChannels + midChannels + channels,
  parameters: ({ channels, midChannels }) => [
    ['reduce.weight', 'weight', [midChannels, channels]],
    ['reduce.bias', 'bias', [midChannels]],
    ['expand.weight', 'weight', [channels, midChannels]],
    ['expand.bias', 'bias', [channels]],
  ],
  alongChannels: () => [
    ['reduce.weight', 1],
    ['expand.weight', 0],
    ['expand.bias', 0],
  ],
};
