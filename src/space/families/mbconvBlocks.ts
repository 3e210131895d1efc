/**
 * The blocks of MobileNetV3 and ProxylessNAS networks, with their keys: those of a search space and those of a network
 * that somebody else specialised are the same where their shapes are.
 */
import {
  layerOutput,
  makeDivisible,
  type ActivationName,
  type BlockSpec,
  type ImageShape,
  type LayerSpec,
} from '../network.js';
import { chainBlock, shapeKey, type Layers } from './layers.js';

export interface Mbconv {
  readonly name: string;
  readonly outChannels: number;
  readonly kernel: number;
  readonly kernelChoices: readonly number[];
  readonly stride: number;
  /** 1: no expanding convolution. */
  readonly expand: number;
  /** Channels between; default: input channels x `expand`, rounded to a multiple of 8. */
  readonly midChannels?: number;
  readonly activation: ActivationName;
  readonly squeezeExcite: boolean;
  readonly residual: boolean;
}

const act = (name: string, activation: ActivationName): LayerSpec => ({
  kind: 'activation',
  name,
  activation,
});

/** Inverted residual block (`EN/modules/dynamic_layers.py`, `ofa/utils/layers.py`, MBConvLayer). */
export function mbconvBlock(make: Layers, b: Mbconv, input: ImageShape): BlockSpec {
  const mid = b.midChannels ?? makeDivisible(Math.round(input.channels * b.expand));
  const layers: LayerSpec[] = [];
  if (b.expand !== 1) {
    layers.push(
      make.conv('expand', input.channels, mid),
      make.norm('expandNorm', mid),
      act('expandActivation', b.activation),
    );
  }
  const { kernel, kernelChoices, stride } = b;
  layers.push(
    make.conv('depthwise', mid, mid, { kernel, kernelChoices, stride, groups: mid }),
    make.norm('depthwiseNorm', mid),
    act('depthwiseActivation', b.activation),
  );
  if (b.squeezeExcite) {
    layers.push({
      kind: 'squeezeExcite',
      name: 'squeezeExcite',
      channels: mid,
      midChannels: makeDivisible(Math.trunc(mid / 4)),
    });
  }
  layers.push(make.conv('project', mid, b.outChannels), make.norm('projectNorm', b.outChannels));
  const output = layers.reduce((shape, layer) => layerOutput(layer, shape), input);
  const shortcut = b.residual && stride === 1 && input.channels === b.outChannels ? 'identity' : 'none';
  const key =
    `mbconv-in${shapeKey(input)}-out${b.outChannels}-mid${mid}-k${kernel}-s${stride}-${b.activation}` +
    `${b.squeezeExcite ? '-se' : ''}${shortcut === 'identity' ? '-res' : ''}${b.expand === 1 ? '-noexpand' : ''}`;
  return { name: b.name, key, input, output, layers, shortcut };
}

export interface ConvBlock {
  readonly outChannels: number;
  readonly kernel: number;
  readonly stride: number;
  readonly activation: ActivationName;
}

/** Convolution, batch norm, activation: the stem, and the 1x1 convolution before the global pool. */
export function convBlock(make: Layers, name: string, b: ConvBlock, input: ImageShape): BlockSpec {
  const { outChannels, kernel, stride, activation } = b;
  const key = `conv-in${shapeKey(input)}-out${outChannels}-k${kernel}-s${stride}-${activation}`;
  return chainBlock(name, key, input, [
    make.conv('conv', input.channels, outChannels, { kernel, stride }),
    make.norm('norm', outChannels),
    act('activation', activation),
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
      act('mixActivation', mix.activation),
    );
  }
  const inFeatures = mix?.features ?? input.channels;
  layers.push(
    { kind: 'dropout', name: 'dropout', rate: dropout },
    { kind: 'linear', name: 'linear', inFeatures, outFeatures: classes, bias: true },
  );
  return chainBlock('classifier', key, input, layers);
}
