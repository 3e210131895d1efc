import { outputSize } from '../shape.js';
import { inPlace, type LayerRule } from './rule.js';

export interface PoolLayer {
  readonly kind: 'maxPool' | 'averagePool';
  readonly name: string;
  readonly kernel: number;
  readonly stride: number;
  /** Positions outside the image count for nothing: neither as a maximum nor in a mean. */
  readonly padding: number;
  /** The last window may reach beyond the padding, so that no row or column is left out. */
  readonly ceil?: boolean;
}

/** Spatial size after a pool; with `ceil`, windows that would start beyond the image are left out (as PyTorch does). */
export function pooledSize(
  size: number,
  { kernel, stride, padding, ceil = false }: Pick<PoolLayer, 'kernel' | 'stride' | 'padding' | 'ceil'>,
): number {
  const whole = outputSize(size, kernel, stride, padding);
  const covered = (whole - 1) * stride + kernel >= size + 2 * padding;
  return ceil && !covered && whole * stride < size + padding ? whole + 1 : whole;
}

export const pool: LayerRule<PoolLayer> = {
  ...inPlace,
  output: (layer, { channels, height, width }) => ({
    channels,
    height: pooledSize(height, layer),
    width: pooledSize(width, layer),
  }),
  allocates: true,
};
