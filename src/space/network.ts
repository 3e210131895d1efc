/**
 * What an architecture builds: a chain of blocks, each a list of layers with an optional shortcut around them. Pure
 * data, no weights. Costs, parameter shapes, graphs, latency keys and slices are all derived from it, so a family of
 * networks is described once, by the function that writes this list.
 */

import type { ActivationName } from './layers/activation.js';
import { layerRule, type LayerSpec } from './layers/index.js';
import type { ImageShape } from './shape.js';

export type { ActivationLayer, ActivationName } from './layers/activation.js';
export type { BatchNormLayer } from './layers/batchNorm.js';
export { kernelChain, type ConvLayer } from './layers/conv.js';
export type { DropoutLayer } from './layers/dropout.js';
export type { LayerSpec } from './layers/index.js';
export type { LinearLayer } from './layers/linear.js';
export { pooledSize, type PoolLayer } from './layers/pool.js';
export type { SqueezeExciteLayer } from './layers/squeezeExcite.js';
export type { ImageShape } from './shape.js';

export interface BlockSpec {
  /** Stable name of the position in the full-depth network; prefix of its parameters' names. */
  readonly name: string;
  /** What a latency table calls it: equal keys are equal computations at batch 1. */
  readonly key: string;
  readonly input: ImageShape;
  /** height = width = 1 after a global pool. */
  readonly output: ImageShape;
  readonly layers: readonly LayerSpec[];
  /** What is added to the layers' result: nothing, the input, or layers applied to the input. */
  readonly shortcut: 'none' | 'identity' | readonly LayerSpec[];
  /** Applied after the addition. */
  readonly activationAfter?: ActivationName;
}

export interface Network {
  readonly input: ImageShape;
  readonly classes: number;
  readonly blocks: readonly BlockSpec[];
}

/** Nearest multiple of `divisor`, at least `divisor`, never below 90 % of `value` (`ofa/utils/pytorch_modules.py:23-40`). */
export function makeDivisible(value: number, divisor = 8): number {
  const rounded = Math.max(divisor, Math.trunc((value + divisor / 2) / divisor) * divisor);
  return rounded < 0.9 * value ? rounded + divisor : rounded;
}

/** Shape after one layer. */
export function layerOutput(layer: LayerSpec, input: ImageShape): ImageShape {
  return layerRule(layer).output(layer, input);
}

/**
 * Identifies the computation of a block apart from its position and weights: blocks with equal signatures run the same
 * program.
 */
export function blockSignature(block: BlockSpec): string {
  const known = signatures.get(block) ?? JSON.stringify({ ...block, name: undefined, key: undefined });
  signatures.set(block, known);
  return known;
}
/** Every training step asks for those of all its blocks; families build equal blocks once. */
const signatures = new WeakMap<BlockSpec, string>();
