/**
 * Residual networks of bottlenecks with elastic depth, bottleneck width and stage width: the OFA ResNet50 family, a
 * ResNet-D (`EN/networks/ofa_resnets.py`, `EN/modules/dynamic_layers.py:524-841`).
 */
import { z } from 'zod';
import type { Architecture } from '../architecture.js';
import type { SpaceFamily, SpaceParameters } from '../family.js';
import type { Gene } from '../gene.js';
import {
  makeDivisible,
  type ActivationName,
  type BlockSpec,
  type ImageShape,
  type LayerSpec,
} from '../network.js';
import { classifierBlock, convBlock } from './commonBlocks.js';
import { activationLayer, builtBlocks, chainBlock, Layers, shapeKey } from './layers.js';
import {
  activation,
  addedDepths,
  channels,
  choices,
  fixedBlocks,
  kernel,
  stageStride,
  stagesOf,
} from './schemas.js';

const schema = z.strictObject({
  /**
   * Three 3x3 convolutions, the first of stride 2, the second with a shortcut, and a 3x3 max pool of stride 2. Two
   * choices of `depth` (`d[0]`): the smaller leaves the second one out.
   */
  stem: z.strictObject({
    width: channels,
    depth: addedDepths.refine((list) => list.length <= 2, 'one or two choices are wanted'),
    activation,
  }),
  stages: stagesOf(
    z.strictObject({
      width: channels,
      stride: stageStride,
      activation,
      kernel,
      /** Blocks that are always there; `depth` is added. */
      blocks: fixedBlocks,
      depth: addedDepths,
      /** Of the middle channels to the block's output channels. */
      expand: choices,
    }),
    ({ blocks, depth }) => blocks + Math.max(...depth),
  ),
  /** Width choices of the stem's two widths and of every stage; an architecture's `w` holds indices into this list. */
  widths: choices,
});
export type ResnetDefinition = z.infer<typeof schema>;

/** `w[0]`: the stem's inner convolutions, `w[1]`: its last one, then the stages. */
const STEM_WIDTHS = 2;

function genes({ stem, stages, widths }: ResnetDefinition): Gene[] {
  const list: Gene[] = [stem, ...stages].map(({ depth }, index) => ({
    list: 'd',
    index,
    choices: depth,
    group: index === 0 ? 'stem' : `stage${index - 1}`,
  }));
  const indices = widths.map((_, i) => i);
  for (let index = 0; index < STEM_WIDTHS + stages.length; index++)
    list.push({ list: 'w', index, choices: indices, group: `width${index}` });
  let slot = 0;
  stages.forEach(({ blocks: base, depth, expand }, stage) => {
    for (let position = 0; position < base + Math.max(...depth); position++, slot++) {
      const needs = { stage: stage + 1, position, base };
      list.push({ list: 'e', index: slot, choices: expand, group: `slot${slot}`, needs });
    }
  });
  return list;
}

interface Bottleneck {
  readonly name: string;
  readonly outChannels: number;
  readonly kernel: number;
  readonly stride: number;
  readonly expand: number;
  readonly activation: ActivationName;
  /** The shortcut has a convolution of its own: the first block of a stage, also where shapes would not need it. */
  readonly project: boolean;
}

/**
 * 1x1, kxk with the stride, 1x1, each with batch norm, activations between; the sum with the shortcut is activated too.
 * A projecting shortcut averages before its convolution where the stride leaves out positions (ResNet-D).
 */
function bottleneckBlock(make: Layers, b: Bottleneck, input: ImageShape): BlockSpec {
  const { kernel, stride, outChannels, activation: fn } = b;
  const mid = makeDivisible(Math.round(outChannels * b.expand));
  const layers: LayerSpec[] = [
    make.conv('reduce', input.channels, mid),
    make.norm('reduceNorm', mid),
    activationLayer('reduceActivation', fn),
    make.conv('middle', mid, mid, { kernel, stride }),
    make.norm('middleNorm', mid),
    activationLayer('middleActivation', fn),
    make.conv('expand', mid, outChannels),
    make.norm('expandNorm', outChannels),
  ];
  const shortcut: LayerSpec[] = [
    make.conv('shortcut', input.channels, outChannels),
    make.norm('shortcutNorm', outChannels),
  ];
  if (stride > 1) {
    const window = { kernel: stride, stride, padding: 0, ceil: true };
    shortcut.unshift({ kind: 'averagePool', name: 'shortcutPool', ...window });
  }
  const key =
    `bottleneck-in${shapeKey(input)}-out${outChannels}-mid${mid}-k${kernel}-s${stride}-${fn}` +
    (b.project ? '-project' : '-res');
  return {
    ...chainBlock(b.name, key, input, layers),
    shortcut: b.project ? shortcut : 'identity',
    activationAfter: fn,
  };
}

/** Appends what `stem` of a definition describes. */
function stemBlocks(
  append: (make: (input: ImageShape) => BlockSpec) => void,
  make: Layers,
  { activation: fn }: ResnetDefinition['stem'],
  widths: { readonly inner: number; readonly outer: number },
  residual: boolean,
): void {
  const inner = { outChannels: widths.inner, kernel: 3, stride: 1, activation: fn };
  append((input) => convBlock(make, 'stem', { ...inner, stride: 2 }, input));
  if (residual) {
    append((input) => {
      const block = convBlock(make, 'stemResidual', inner, input);
      return { ...block, key: `${block.key}-res`, shortcut: 'identity' };
    });
  }
  append((input) => {
    const { key, layers } = convBlock(make, 'stemOutput', { ...inner, outChannels: widths.outer }, input);
    const pool = { kind: 'maxPool', name: 'pool', kernel: 3, stride: 2, padding: 1 } as const;
    return chainBlock('stemOutput', `${key}-maxpool3`, input, [...layers, pool]);
  });
}

function blocks(definition: ResnetDefinition, parameters: SpaceParameters, arch: Architecture): BlockSpec[] {
  const { stem, stages, widths } = definition;
  /** Channels of a layer that has `width` of them at multiplier 1, by the width gene of index `gene`. */
  const scaled = (width: number, gene: number): number =>
    makeDivisible(width * widths[arch.w![gene]!]! * parameters.width);
  const make = new Layers(parameters.batchNorm);
  const known = builtBlocks(definition, parameters);
  const list: BlockSpec[] = [];
  let shape: ImageShape = {
    channels: parameters.inputChannels,
    height: arch.imageSize,
    width: arch.imageSize,
  };
  const append = (build: (input: ImageShape) => BlockSpec): void => {
    const block = build(shape);
    list.push(block);
    shape = block.output;
  };

  const stemWidths = {
    inner: makeDivisible(Math.trunc(scaled(stem.width, 0) / 2)),
    outer: scaled(stem.width, 1),
  };
  stemBlocks(append, make, stem, stemWidths, arch.d[0] === Math.max(...stem.depth));
  let slot = 0;
  stages.forEach((stage, s) => {
    const { kernel, activation: fn } = stage;
    const outChannels = scaled(stage.width, STEM_WIDTHS + s);
    for (let position = 0; position < stage.blocks + arch.d[s + 1]!; position++) {
      const name = `stage${s}.block${position}`;
      const expand = arch.e[slot + position]!;
      append((input) => {
        const id = `${name},${shapeKey(input)},${outChannels},${expand}`;
        let block = known.get(id);
        if (block === undefined) {
          const project = position === 0;
          const stride = project ? stage.stride : 1;
          const bottleneck = { name, outChannels, kernel, stride, expand, activation: fn, project };
          known.set(id, (block = bottleneckBlock(make, bottleneck, input)));
        }
        return block;
      });
    }
    slot += stage.blocks + Math.max(...stage.depth);
  });
  const { dropout, classes } = parameters;
  append((input) => classifierBlock({ dropout, classes }, input));
  return list;
}

export const resnet: SpaceFamily<ResnetDefinition> = { name: 'resnet', schema, genes, blocks };
