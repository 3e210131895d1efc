/** What has to be known of a kind of layer: one object a kind, so that a kind without one of them does not compile. */
import type { ImageShape } from '../shape.js';

export type ParameterRole =
  'weight' | 'bias' | 'normScale' | 'normShift' | 'runningMean' | 'runningVariance' | 'kernelTransform';

/** `used`: what the layer computes with; `stored`: also what other kernel sizes of the supernet need. */
export type ParameterSelection = 'used' | 'stored';

/** A tensor of a layer: its name within the layer, what it is for, and its shape as stored. */
export type LayerParameter = readonly [suffix: string, role: ParameterRole, shape: readonly number[]];

export interface LayerRule<Layer> {
  /** Shape after the layer. */
  output(layer: Layer, input: ImageShape): ImageShape;
  /** Multiply-accumulates at batch 1, as `Costs.macs` counts them. `output`: the shape that leaves the layer. */
  macs(layer: Layer, output: ImageShape): number;
  /** Trainable parameters at the active size, as `Costs.params` counts them. */
  params(layer: Layer): number;
  /** Its tensors, in the order in which they are stored. */
  parameters(layer: Layer, which: ParameterSelection): readonly LayerParameter[];
  /**
   * Dimensions of its tensors that run along its channels, which sorting permutes with them; undefined where channels do not
   * pass one by one.
   */
  alongChannels(layer: Layer): readonly (readonly [suffix: string, dim: number])[] | undefined;
  /** Whether it writes a new tensor; otherwise it works in place. */
  readonly allocates: boolean;
}

/** Of layers that change numbers in place and learn nothing. */
export const inPlace: LayerRule<unknown> = {
  output: (_layer, input) => input,
  macs: () => 0,
  params: () => 0,
  parameters: () => [],
  alongChannels: () => [],
  allocates: false,
};
