import { inPlace, type LayerRule } from './rule.js';

export interface DropoutLayer {
  readonly kind: 'dropout';
  readonly name: string;
  readonly rate: number;
}

export const dropout: LayerRule<DropoutLayer> = inPlace;
