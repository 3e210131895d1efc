/**
 * Chains of inverted residual blocks with depthwise convolutions: the OFA MobileNetV3 and ProxylessNAS families
 * (`EN/networks/ofa_mbv3.py`, `EN/networks/ofa_proxyless.py`).
 */
import { z } from 'zod';
import type { Architecture } from '../architecture.js';
import type { SpaceFamily, SpaceParameters } from '../family.js';
import type { Gene } from '../gene.js';
import { makeDivisible, type BlockSpec, type ImageShape } from '../network.js';
import { classifierBlock, convBlock } from './commonBlocks.js';
import { builtBlocks, Layers } from './layers.js';
import { mbconvBlock, type Mbconv } from './mbconvBlocks.js';
import {
  activation,
  channels,
  choices,
  depths,
  kernel,
  kernels,
  ratio,
  stageStride,
  stagesOf,
  stride,
} from './schemas.js';

const schema = z.strictObject({
  stem: z.strictObject({
    width: channels,
    kernel,
    stride,
    activation,
  }),
  /** Fixed block after the stem, without genes; its shortcut is there iff shapes allow and `residual` is set. */
  firstBlock: z
    .strictObject({
      width: channels,
      kernel,
      stride,
      expand: ratio,
      activation,
      squeezeExcite: z.boolean(),
      residual: z.boolean(),
    })
    .optional(),
  stages: stagesOf(
    z.strictObject({
      width: channels,
      stride: stageStride,
      activation,
      squeezeExcite: z.boolean(),
      depth: depths,
      kernel: kernels,
      expand: choices,
    }),
    ({ depth }) => Math.max(...depth),
  ),
  /** 1x1 convolution with batch norm, global pool, then (if `mix` is given) a dense layer with activation, and the classifier. */
  head: z.strictObject({
    expand: channels,
    mix: channels.optional(),
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

function blocks(definition: MbconvDefinition, parameters: SpaceParameters, arch: Architecture): BlockSpec[] {
  const { stem, firstBlock, stages, head, kernelTransform } = definition;
  const scaled = (width: number): number => makeDivisible(width * parameters.width);
  const make = new Layers(parameters.batchNorm, kernelTransform);
  const known = builtBlocks(definition, parameters);
  const list: BlockSpec[] = [];
  let shape: ImageShape = {
    channels: parameters.inputChannels,
    height: arch.imageSize,
    width: arch.imageSize,
  };
  // Searches describe networks by the hundred thousand: what a block needs is put together when it is first met.
  const add = (id: string, build: () => BlockSpec): void => {
    let block = known.get(id);
    if (block === undefined) known.set(id, (block = build()));
    list.push(block);
    shape = block.output;
  };

  add(`stem,${shape.height}`, () =>
    convBlock(make, 'stem', { ...stem, outChannels: scaled(stem.width) }, shape),
  );
  if (firstBlock) {
    add(`first,${shape.height}`, () => {
      const { width, kernel, ...rest } = firstBlock;
      const own = { name: 'first', outChannels: scaled(width), kernel, kernelChoices: [kernel], ...rest };
      return mbconvBlock(make, own, shape);
    });
  }
  let slot = 0;
  stages.forEach((stage, s) => {
    for (let position = 0; position < arch.d[s]!; position++) {
      const kernel = arch.ks[slot + position]!;
      const expand = arch.e[slot + position]!;
      add(`${s},${position},${shape.height},${kernel},${expand}`, () => {
        const own: Mbconv = {
          name: `stage${s}.block${position}`,
          outChannels: scaled(stage.width),
          kernel,
          kernelChoices: [...stage.kernel].reverse(),
          stride: position === 0 ? stage.stride : 1,
          expand,
          activation: stage.activation,
          squeezeExcite: stage.squeezeExcite,
          residual: true,
        };
        return mbconvBlock(make, own, shape);
      });
    }
    slot += stage.depth[stage.depth.length - 1]!;
  });

  add(`expand,${shape.height}`, () =>
    convBlock(make, 'expand', { ...head, outChannels: scaled(head.expand), kernel: 1, stride: 1 }, shape),
  );
  add(`classifier,${shape.height}`, () => {
    const { dropout, classes } = parameters;
    const mix =
      head.mix === undefined ? {} : { mix: { features: scaled(head.mix), activation: head.activation } };
    return classifierBlock({ ...mix, dropout, classes }, shape);
  });
  return list;
}

export const mbconv: SpaceFamily<MbconvDefinition> = { name: 'mbconv', schema, genes, blocks };
