import { inPlace, type LayerRule } from './rule.js';

export interface GlobalPoolLayer {
  readonly kind: 'globalPool';
  readonly name: string;
}

export const globalPool: LayerRule<GlobalPoolLayer> = {
  ...inPlace,
  output: (_layer, { channels }) => ({ channels, height: 1, width: 1 }),
  allocates: true,
};
