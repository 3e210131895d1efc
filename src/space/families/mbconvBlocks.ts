/**
 * The blocks of MobileNetV3 and ProxylessNAS networks, with their keys: those of a search space and those of a network
 * that somebody else specialised are the same where their shapes are.
 */
import {
  makeDivisible,
  type ActivationName,
  type BlockSpec,
  type ImageShape,
  type LayerSpec,
} from '../network.js';
import { activationLayer, chainBlock, shapeKey, type Layers } from './layers.js';

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

/** Inverted residual block (`EN/modules/dynamic_layers.py`, `ofa/utils/layers.py`, MBConvLayer). */
export function mbconvBlock(make: Layers, b: Mbconv, input: ImageShape): BlockSpec {
  const mid = b.midChannels ?? makeDivisible(Math.round(input.channels * b.expand));
  const layers: LayerSpec[] = [];
  if (b.expand !== 1) {
    layers.push(
      make.conv('expand', input.channels, mid),
      make.norm('expandNorm', mid),
      activationLayer('expandActivation', b.activation),
    );
  }
  const { kernel, kernelChoices, stride } = b;
  layers.push(
    make.conv('depthwise', mid, mid, { kernel, kernelChoices, stride, groups: mid }),
    make.norm('depthwiseNorm', mid),
    activationLayer('depthwiseActivation', b.activation),
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
  const shortcut = b.residual && stride === 1 && input.channels === b.outChannels ? 'identity' : 'none';
  const key =
    `mbconv-in${shapeKey(input)}-out${b.outChannels}-mid${mid}-k${kernel}-s${stride}-${b.activation}` +
    `${b.squeezeExcite ? '-se' : ''}${shortcut === 'identity' ? '-res' : ''}${b.expand === 1 ? '-noexpand' : ''}`;
  return { ...chainBlock(b.name, key, input, layers), shortcut };
}
