import type { LayerRule } from './rule.js';

/** Dense layer on [N, inFeatures], after a `globalPool`. */
export interface LinearLayer {
  readonly kind: 'linear';
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly bias: boolean;
}

export const linear: LayerRule<LinearLayer> = {
  output: ({ outFeatures }) => ({ channels: outFeatures, height: 1, width: 1 }),
  macs: ({ inFeatures, outFeatures }) => inFeatures * outFeatures,
  params: ({ inFeatures, outFeatures, bias }) => inFeatures * outFeatures + (bias ? outFeatures : 0),
  parameters: ({ inFeatures, outFeatures, bias }) => [
    ['weight', 'weight', [outFeatures, inFeatures]],
    ...(bias ? ([['bias', 'bias', [outFeatures]]] as const) : []),
  ],
  alongChannels: () => undefined,
  allocates: true,
};
