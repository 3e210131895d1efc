/**
 * Chains of inverted residual blocks with depthwise convolutions: the OFA MobileNetV3 and ProxylessNAS families
 * (`EN/networks/ofa_mbv3.py`, `EN/networks/ofa_proxyless.py`).
 */
import { z } from 'zod';
import type { Architecture } from '../architecture.js';
import type { SpaceFamily, SpaceParameters } from '../family.js';
import type { Gene } from '../gene.js';
import {
  layerOutput,
  makeDivisible,
  type ActivationName,
  type BatchNormLayer,
  type BlockSpec,
  type ConvLayer,
  type ImageShape,
  type LayerSpec,
} from '../network.js';

const activation = z.enum(['relu', 'relu6', 'h_swish']);
const choices = z
  .array(z.number().positive())
  .nonempty()
  .refine((list) => list.every((v, i) => i === 0 || v > list[i - 1]!), 'choices must ascend');
const depths = choices.refine(
  (list) => list.every((d) => Number.isInteger(d)),
  'depths must be whole numbers',
);
const kernels = choices.refine((list) => list.every((k) => k % 2 === 1), 'kernel sizes must be odd');

const schema = z.strictObject({
  stem: z.strictObject({
    width: z.number().int().positive(),
    kernel: z.number().int(),
    stride: z.number().int(),
    activation,
  }),
  /** Fixed block after the stem, without genes; its shortcut is there iff shapes allow and `residual` is set. */
  firstBlock: z
    .strictObject({
      width: z.number().int().positive(),
      kernel: z.number().int(),
      stride: z.number().int(),
      expand: z.number().positive(),
      activation,
      squeezeExcite: z.boolean(),
      residual: z.boolean(),
    })
    .optional(),
  stages: z
    .array(
      z.strictObject({
        width: z.number().int().positive(),
        stride: z.number().int().min(1).max(2),
        activation,
        squeezeExcite: z.boolean(),
        depth: depths,
        kernel: kernels,
        expand: choices,
      }),
    )
    .nonempty(),
  /** 1x1 convolution with batch norm, global pool, then (if `mix` is given) a dense layer with activation, and the classifier. */
  head: z.strictObject({
    expand: z.number().int().positive(),
    mix: z.number().int().positive().optional(),
    activation,
  }),
  /** Smaller kernels through learned matrices; without, plain centre crops. */
  kernelTransform: z.boolean(),
});
export type MbconvDefinition = z.infer<typeof schema>;

function genes(definition: MbconvDefinition): Gene[] {
  const list: Gene[] = definition.stages.map(({ depth }, stage) => ({
    list: 'd',
    index: stage,
    choices: depth,
    group: `stage${stage}`,
  }));
  let slot = 0;
  definition.stages.forEach(({ depth, kernel, expand }, stage) => {
    for (let position = 0; position < Math.max(...depth); position++, slot++) {
      const common = { index: slot, group: `slot${slot}`, needs: { stage, position } };
      list.push({ list: 'ks', choices: kernel, ...common }, { list: 'e', choices: expand, ...common });
    }
  });
  return list;
}

interface Mbconv {
  readonly name: string;
  readonly outChannels: number;
  readonly kernel: number;
  readonly kernelChoices: readonly number[];
  readonly stride: number;
  readonly expand: number;
  readonly activation: ActivationName;
  readonly squeezeExcite: boolean;
  readonly residual: boolean;
}

/** The layers of one network; closes over what all of them share. */
class Layers {
  constructor(
    private readonly parameters: SpaceParameters,
    private readonly kernelTransform: boolean,
  ) {}

  norm(name: string, channels: number): BatchNormLayer {
    return { kind: 'batchNorm', name, channels, ...this.parameters.batchNorm };
  }

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

  mbconv(b: Mbconv, input: ImageShape): BlockSpec {
    const mid = makeDivisible(Math.round(input.channels * b.expand));
    const layers: LayerSpec[] = [];
    if (b.expand !== 1) {
      layers.push(this.conv('expand', input.channels, mid), this.norm('expandNorm', mid), {
        kind: 'activation',
        name: 'expandActivation',
        activation: b.activation,
      });
    }
    const { kernel, kernelChoices, stride } = b;
    layers.push(
      this.conv('depthwise', mid, mid, { kernel, kernelChoices, stride, groups: mid }),
      this.norm('depthwiseNorm', mid),
      { kind: 'activation', name: 'depthwiseActivation', activation: b.activation },
    );
    if (b.squeezeExcite) {
      layers.push({
        kind: 'squeezeExcite',
        name: 'squeezeExcite',
        channels: mid,
        midChannels: makeDivisible(Math.trunc(mid / 4)),
      });
    }
    layers.push(this.conv('project', mid, b.outChannels), this.norm('projectNorm', b.outChannels));
    const output = layers.reduce((shape, layer) => layerOutput(layer, shape), input);
    const shortcut = b.residual && stride === 1 && input.channels === b.outChannels ? 'identity' : 'none';
    const { channels, height, width } = input;
    const key =
      `mbconv-in${channels}x${height}x${width}-out${b.outChannels}-mid${mid}-k${kernel}-s${stride}-${b.activation}` +
      `${b.squeezeExcite ? '-se' : ''}${shortcut === 'identity' ? '-res' : ''}${b.expand === 1 ? '-noexpand' : ''}`;
    return { name: b.name, key, input, output, layers, shortcut };
  }
}

/**
 * Blocks built before, by name, input size, kernel and expand ratio: a search builds hundreds of thousands of networks
 * from a few thousand different blocks.
 */
const built = new WeakMap<MbconvDefinition, WeakMap<SpaceParameters, Map<string, BlockSpec>>>();

function builtBlocks(definition: MbconvDefinition, parameters: SpaceParameters): Map<string, BlockSpec> {
  let ofDefinition = built.get(definition);
  if (ofDefinition === undefined) built.set(definition, (ofDefinition = new WeakMap()));
  let list = ofDefinition.get(parameters);
  if (list === undefined) ofDefinition.set(parameters, (list = new Map<string, BlockSpec>()));
  return list;
}

function blocks(definition: MbconvDefinition, parameters: SpaceParameters, arch: Architecture): BlockSpec[] {
  const { stem, firstBlock, stages, head, kernelTransform } = definition;
  const scaled = (width: number): number => makeDivisible(width * parameters.width);
  const make = new Layers(parameters, kernelTransform);
  const known = builtBlocks(definition, parameters);
  const list: BlockSpec[] = [];
  let shape: ImageShape = {
    channels: parameters.inputChannels,
    height: arch.imageSize,
    width: arch.imageSize,
  };
  const chain = (name: string, key: string, layers: LayerSpec[]): void => {
    const output = layers.reduce((s, layer) => layerOutput(layer, s), shape);
    list.push({ name, key, input: shape, output, layers, shortcut: 'none' });
    shape = output;
  };
  const add = (b: Mbconv): void => {
    const id = `${b.name},${shape.height},${b.kernel},${b.expand}`;
    let block = known.get(id);
    if (block === undefined) known.set(id, (block = make.mbconv(b, shape)));
    list.push(block);
    shape = block.output;
  };

  const stemWidth = scaled(stem.width);
  chain(
    'stem',
    `conv-in${shape.channels}x${shape.height}x${shape.width}-out${stemWidth}-k${stem.kernel}-s${stem.stride}-${stem.activation}`,
    [
      make.conv('conv', shape.channels, stemWidth, {
        kernel: stem.kernel,
        kernelChoices: [stem.kernel],
        stride: stem.stride,
      }),
      make.norm('norm', stemWidth),
      { kind: 'activation', name: 'activation', activation: stem.activation },
    ],
  );
  if (firstBlock) {
    const { width, kernel, ...rest } = firstBlock;
    add({ name: 'first', outChannels: scaled(width), kernel, kernelChoices: [kernel], ...rest });
  }
  let slot = 0;
  stages.forEach((stage, s) => {
    const outChannels = scaled(stage.width);
    const kernelChoices = [...stage.kernel].reverse();
    for (let position = 0; position < arch.d[s]!; position++) {
      add({
        name: `stage${s}.block${position}`,
        outChannels,
        kernel: arch.ks[slot + position]!,
        kernelChoices,
        stride: position === 0 ? stage.stride : 1,
        expand: arch.e[slot + position]!,
        activation: stage.activation,
        squeezeExcite: stage.squeezeExcite,
        residual: true,
      });
    }
    slot += Math.max(...stage.depth);
  });

  const expandWidth = scaled(head.expand);
  const act = (name: string): LayerSpec => ({ kind: 'activation', name, activation: head.activation });
  chain(
    'expand',
    `conv-in${shape.channels}x${shape.height}x${shape.width}-out${expandWidth}-k1-s1-${head.activation}`,
    [make.conv('conv', shape.channels, expandWidth), make.norm('norm', expandWidth), act('activation')],
  );
  const mixWidth = head.mix === undefined ? undefined : scaled(head.mix);
  const features = mixWidth ?? expandWidth;
  chain(
    'classifier',
    `classifier-in${shape.channels}x${shape.height}x${shape.width}${mixWidth === undefined ? '' : `-mix${mixWidth}`}-out${parameters.classes}`,
    [
      { kind: 'globalPool', name: 'pool' },
      ...(mixWidth === undefined
        ? []
        : [
            {
              kind: 'linear',
              name: 'mix',
              inFeatures: expandWidth,
              outFeatures: mixWidth,
              bias: false,
            } as const,
            act('mixActivation'),
          ]),
      { kind: 'dropout', name: 'dropout', rate: parameters.dropout },
      { kind: 'linear', name: 'linear', inFeatures: features, outFeatures: parameters.classes, bias: true },
    ],
  );
  return list;
}

export const mbconv: SpaceFamily<MbconvDefinition> = { name: 'mbconv', schema, genes, blocks };
