/**
 * What an architecture builds: a chain of blocks, each a list of layers with an optional shortcut around them. Pure
 * data, no weights. Costs, parameter shapes, graphs, latency keys and slices are all derived from it, so a family of
 * networks is described once, by the function that writes this list.
 */

export type ActivationName = 'relu' | 'relu6' | 'h_swish';

export interface ImageShape {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

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

export interface BatchNormLayer {
  readonly kind: 'batchNorm';
  readonly name: string;
  readonly channels: number;
  readonly epsilon: number;
  readonly momentum: number;
}

export interface ActivationLayer {
  readonly kind: 'activation';
  readonly name: string;
  readonly activation: ActivationName;
}

/** Global pooling, a dense layer with ReLU, a dense layer with hard sigmoid, both with bias; scales the channels. */
export interface SqueezeExciteLayer {
  readonly kind: 'squeezeExcite';
  readonly name: string;
  readonly channels: number;
  readonly midChannels: number;
}

export interface GlobalPoolLayer {
  readonly kind: 'globalPool';
  readonly name: string;
}

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

export interface DropoutLayer {
  readonly kind: 'dropout';
  readonly name: string;
  readonly rate: number;
}

/** Dense layer on [N, inFeatures], after a `globalPool`. */
export interface LinearLayer {
  readonly kind: 'linear';
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly bias: boolean;
}

export type LayerSpec =
  | ConvLayer
  | BatchNormLayer
  | ActivationLayer
  | SqueezeExciteLayer
  | GlobalPoolLayer
  | PoolLayer
  | DropoutLayer
  | LinearLayer;

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

/** Spatial size after a window of `kernel` and `stride` with `padding` on every side. */
export function outputSize(size: number, kernel: number, stride: number, padding = kernel >> 1): number {
  return Math.floor((size + 2 * padding - kernel) / stride) + 1;
}

/** The same for a pool; with `ceil`, windows that would start beyond the image are left out (as PyTorch does). */
export function pooledSize(
  size: number,
  { kernel, stride, padding, ceil = false }: Pick<PoolLayer, 'kernel' | 'stride' | 'padding' | 'ceil'>,
): number {
  const whole = outputSize(size, kernel, stride, padding);
  const covered = (whole - 1) * stride + kernel >= size + 2 * padding;
  return ceil && !covered && whole * stride < size + padding ? whole + 1 : whole;
}

/** Kernel sizes from the stored one down to the active one, e.g. [7, 5, 3]. */
export function kernelChain(layer: ConvLayer): number[] {
  return layer.kernelChoices.filter((size) => size >= layer.kernel);
}

/** Shape after one layer. */
export function layerOutput(layer: LayerSpec, input: ImageShape): ImageShape {
  switch (layer.kind) {
    case 'conv':
      return {
        channels: layer.outChannels,
        height: outputSize(input.height, layer.kernel, layer.stride),
        width: outputSize(input.width, layer.kernel, layer.stride),
      };
    case 'maxPool':
    case 'averagePool':
      return {
        channels: input.channels,
        height: pooledSize(input.height, layer),
        width: pooledSize(input.width, layer),
      };
    case 'globalPool':
      return { channels: input.channels, height: 1, width: 1 };
    case 'linear':
      return { channels: layer.outFeatures, height: 1, width: 1 };
    default:
      return input;
  }
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
