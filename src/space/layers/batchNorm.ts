import { inPlace, type LayerRule } from './rule.js';

export interface BatchNormLayer {
  readonly kind: 'batchNorm';
  readonly name: string;
  readonly channels: number;
  readonly epsilon: number;
  readonly momentum: number;
}

export const batchNorm: LayerRule<BatchNormLayer> = {
  ...inPlace,
  params: ({ channels }) => 2 * channels,
  parameters: ({ channels }) => [
    ['weight', 'normScale', [channels]],
    ['bias', 'normShift', [channels]],
    ['runningMean', 'runningMean', [channels]],
    ['runningVariance', 'runningVariance', [channels]],
  ],
  alongChannels: () => [
    ['weight', 0],
    ['bias', 0],
    ['runningMean', 0],
    ['runningVariance', 0],
  ],
};
