/** Blocks that networks of every family begin and end with, with their keys. */
import type { ActivationName, BlockSpec, ImageShape, LayerSpec } from '../network.js';
import { activationLayer, chainBlock, shapeKey, type Layers } from './layers.js';

export interface ConvBlock {
  readonly outChannels: number;
  readonly kernel: number;
  readonly stride: number;
  readonly activation: ActivationName;
}

/** Convolution, batch norm, activation: stems, and the 1x1 convolution before the global pool. */
export function convBlock(make: Layers, name: string, b: ConvBlock, input: ImageShape): BlockSpec {
  const { outChannels, kernel, stride, activation } = b;
  const key = `conv-in${shapeKey(input)}-out${outChannels}-k${kernel}-s${stride}-${activation}`;
  return chainBlock(name, key, input, [
    make.conv('conv', input.channels, outChannels, { kernel, stride }),
    make.norm('norm', outChannels),
    activationLayer('activation', activation),
  ]);
}

export interface Classifier {
  /** Dense layer with activation before the classifier, in MobileNetV3. */
  readonly mix?: { readonly features: number; readonly activation: ActivationName };
  readonly dropout: number;
  readonly classes: number;
}

/** Global pool, the dense layers, logits. */
export function classifierBlock({ mix, dropout, classes }: Classifier, input: ImageShape): BlockSpec {
  const key = `classifier-in${shapeKey(input)}${mix === undefined ? '' : `-mix${mix.features}`}-out${classes}`;
  const layers: LayerSpec[] = [{ kind: 'globalPool', name: 'pool' }];
  if (mix !== undefined) {
    const [inFeatures, outFeatures] = [input.channels, mix.features];
    layers.push(
      { kind: 'linear', name: 'mix', inFeatures, outFeatures, bias: false },
      activationLayer('mixActivation', mix.activation),
    );
  }
  const inFeatures = mix?.features ?? input.channels;
  layers.push(
    { kind: 'dropout', name: 'dropout', rate: dropout },
    { kind: 'linear', name: 'linear', inFeatures, outFeatures: classes, bias: true },
  );
  return chainBlock('classifier', key, input, layers);
}
