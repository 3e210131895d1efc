import { inPlace, type LayerRule } from './rule.js';

export type ActivationName = 'relu' | 'relu6' | 'h_swish';

export interface ActivationLayer {
  readonly kind: 'activation';
  readonly name: string;
  readonly activation: ActivationName;
}

export const activation: LayerRule<ActivationLayer> = inPlace;
