/** All kinds of layers: add a line to the union and one to the table to add one. */
import { activation, type ActivationLayer } from './activation.js';
import { batchNorm, type BatchNormLayer } from './batchNorm.js';
import { conv, type ConvLayer } from './conv.js';
import { dropout, type DropoutLayer } from './dropout.js';
import { globalPool, type GlobalPoolLayer } from './globalPool.js';
import { linear, type LinearLayer } from './linear.js';
import { pool, type PoolLayer } from './pool.js';
import type { LayerRule } from './rule.js';
import { squeezeExcite, type SqueezeExciteLayer } from './squeezeExcite.js';

export type LayerSpec =
  | ConvLayer
  | BatchNormLayer
  | ActivationLayer
  | SqueezeExciteLayer
  | GlobalPoolLayer
  | PoolLayer
  | DropoutLayer
  | LinearLayer;

export type LayerKind = LayerSpec['kind'];

/** The layers of a kind; one of the union may be of several. */
type OfKind<Kind extends LayerKind, Layer = LayerSpec> = Layer extends { readonly kind: infer Own }
  ? Kind extends Own
    ? Layer
    : never
  : never;

/** Every kind has a rule, or this does not compile. */
const rules: { readonly [Kind in LayerKind]: LayerRule<OfKind<Kind>> } = {
  conv,
  batchNorm,
  activation,
  squeezeExcite,
  globalPool,
  maxPool: pool,
  averagePool: pool,
  dropout,
  linear,
};

/** The rule of a layer's kind. */
export function layerRule<Layer extends LayerSpec>(layer: Layer): LayerRule<Layer> {
  const { kind }: LayerSpec = layer;
  return rules[kind] as LayerRule<Layer>;
}
