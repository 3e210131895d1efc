/** What families share when they write their blocks. */
import type { SpaceParameters } from '../family.js';
import {
  layerOutput,
  type ActivationLayer,
  type ActivationName,
  type BatchNormLayer,
  type BlockSpec,
  type ConvLayer,
  type ImageShape,
  type LayerSpec,
} from '../network.js';

/** `16x14x14`: how latency keys name what enters a block. */
export const shapeKey = ({ channels, height, width }: ImageShape): string => `${channels}x${height}x${width}`;

/** Layers of one network; knows what all of them have in common. */
export class Layers {
  constructor(
    private readonly batchNorm: SpaceParameters['batchNorm'],
    private readonly kernelTransform = false,
  ) {}

  norm(name: string, channels: number): BatchNormLayer {
    return { kind: 'batchNorm', name, channels, ...this.batchNorm };
  }

  /** 1x1 with stride 1 unless `rest` says otherwise. */
  conv(name: string, inChannels: number, outChannels: number, rest: Partial<ConvLayer> = {}): ConvLayer {
    const kernel = rest.kernel ?? 1;
    return {
      kind: 'conv',
      name,
      inChannels,
      outChannels,
      kernel,
      stride: 1,
      groups: 1,
      bias: false,
      kernelChoices: [kernel],
      kernelTransform: this.kernelTransform,
      ...rest,
    };
  }
}

export const activationLayer = (name: string, activation: ActivationName): ActivationLayer => ({
  kind: 'activation',
  name,
  activation,
});

/** A block without a shortcut: its output follows from its layers. */
export function chainBlock(
  name: string,
  key: string,
  input: ImageShape,
  layers: readonly LayerSpec[],
): BlockSpec {
  const output = layers.reduce((shape, layer) => layerOutput(layer, shape), input);
  return { name, key, input, output, layers, shortcut: 'none' };
}

/** By definition and parameters, which stay the same objects as long as their space lives. */
const built = new WeakMap<object, WeakMap<SpaceParameters, Map<string, BlockSpec>>>();

/**
 * Blocks of a space that were built before, by whatever of name, shapes and genes its family tells them apart with: a
 * search builds hundreds of thousands of networks from a few thousand different blocks.
 */
export function builtBlocks(definition: object, parameters: SpaceParameters): Map<string, BlockSpec> {
  let ofDefinition = built.get(definition);
  if (ofDefinition === undefined) built.set(definition, (ofDefinition = new WeakMap()));
  let list = ofDefinition.get(parameters);
  if (list === undefined) ofDefinition.set(parameters, (list = new Map<string, BlockSpec>()));
  return list;
}
