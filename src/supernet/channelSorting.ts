/**
 * Sorts hidden channels by importance before elastic width, so that leading slices keep the channels that matter most
 * (OFA, section 3.2; `EN/modules/dynamic_layers.py:347-413` and `:766-841`). The whole network computes what it did before.
 */
import { architectureOf, type SearchSpace } from '../space/space.js';
import { layerRule } from '../space/layers/index.js';
import type { BlockSpec, LayerSpec } from '../space/network.js';
import { sizeOf, tensor, type Tensor } from '../util/tensor.js';

/** One dimension of one tensor, by its name relative to the block. */
export interface TensorDim {
  readonly name: string;
  readonly dim: number;
}

/** Channels between two convolutions of a block, and everything that has to move when they are permuted. */
export interface HiddenChannels {
  readonly channels: number;
  /** The convolution that reads them; its weight is `consumer.weight`, the channels its dimension 1. */
  readonly consumer: string;
  readonly tied: readonly TensorDim[];
  /** Squeeze-excite layers on the way. */
  readonly squeezeExcites: readonly string[];
}

/** How to permute one dimension of a tensor (full name): new index i holds what `order[i]` held. */
export interface Reordering {
  readonly name: string;
  readonly dim: number;
  readonly order: readonly number[];
}

/** What of a layer between producer and consumer runs along the channels; undefined: channels do not pass one by one. */
const tiedDims = (layer: LayerSpec): TensorDim[] | undefined =>
  layerRule(layer)
    .alongChannels(layer)
    ?.map(([suffix, dim]) => ({ name: `${layer.name}.${suffix}`, dim }));

/**
 * The channels of a block that can be permuted without a change of what it computes: those an ordinary convolution makes
 * and another one of the same block reads, with only normalisation, activation, pooling, depthwise convolution and
 * squeeze-excite between. A block's input and output, which shortcuts and neighbours see, are never among them. Last
 * group first, the order in which the reference sorts.
 */
export function hiddenChannels(block: BlockSpec): HiddenChannels[] {
  const groups: HiddenChannels[] = [];
  let open: { channels: number; tied: TensorDim[]; squeezeExcites: string[] } | undefined;
  for (const layer of block.layers) {
    if (layer.kind === 'conv' && layer.groups === 1) {
      if (open) {
        const reads = { name: `${layer.name}.weight`, dim: 1 };
        groups.unshift({ ...open, consumer: layer.name, tied: [...open.tied, reads] });
      }
      const made = ['weight', ...(layer.bias ? ['bias'] : [])];
      open = {
        channels: layer.outChannels,
        tied: made.map((suffix) => ({ name: `${layer.name}.${suffix}`, dim: 0 })),
        squeezeExcites: [],
      };
      continue;
    }
    const dims = tiedDims(layer);
    if (dims === undefined) open = undefined;
    open?.tied.push(...(dims ?? []));
    if (layer.kind === 'squeezeExcite') open?.squeezeExcites.push(layer.name);
  }
  return groups;
}

/** Sum of absolute values over all dimensions but `dim`: L1 norm of each channel. Float64. */
export function channelNorms({ shape, data }: Tensor, dim: number): number[] {
  const channels = shape[dim]!;
  const inner = sizeOf(shape.slice(dim + 1));
  const norms = new Array<number>(channels).fill(0);
  for (let i = 0; i < data.length; i++) norms[Math.floor(i / inner) % channels]! += Math.abs(data[i]!);
  return norms;
}

/**
 * Channels from the most to the least important, ties in their present order. `widths` are those on offer, descending;
 * `stage` says how many steps down from the largest have been trained: with it above 0, channels beyond `widths[stage]`
 * stay behind those before, and so on up the widths, so that no trained width gets a channel that it did not have. (The
 * reference adds multiples of 1e5 to the importances to the same end.)
 */
export function importanceOrder(
  importance: readonly number[],
  widths: readonly number[] = [],
  stage = 0,
): number[] {
  const bounds = stage > 0 ? widths.slice(1, stage + 1) : [];
  const band = (channel: number): number => bounds.filter((width) => channel >= width).length;
  return importance
    .map((_, channel) => channel)
    .sort((a, b) => band(a) - band(b) || importance[b]! - importance[a]! || a - b);
}

/**
 * Reorderings of one block. `tensors`: the block's, at full width, by relative name. `widths`: for a consumer's name the
 * widths on offer, descending; channels with a single width are left alone. The inner channels of squeeze-excite are
 * sorted by the L1 norm of its expanding layer, without bands, as in the reference.
 */
export function blockOrders(
  block: BlockSpec,
  tensors: (name: string) => Tensor,
  widths: (consumer: string) => readonly number[],
  stage: number,
): Reordering[] {
  return hiddenChannels(block).flatMap(({ consumer, tied, squeezeExcites }) => {
    const onOffer = widths(consumer);
    if (onOffer.length < 2) return [];
    const order = importanceOrder(channelNorms(tensors(`${consumer}.weight`), 1), onOffer, stage);
    return [
      ...tied.map(({ name, dim }) => ({ name, dim, order })),
      ...squeezeExcites.flatMap((name) => {
        const inner = importanceOrder(channelNorms(tensors(`${name}.expand.weight`), 1));
        return [
          { name: `${name}.expand.weight`, dim: 1, order: inner },
          { name: `${name}.reduce.weight`, dim: 0, order: inner },
          { name: `${name}.reduce.bias`, dim: 0, order: inner },
        ];
      }),
    ];
  });
}

/** For every block and consumer of the largest network: the hidden widths that the expand genes offer, descending. */
function hiddenWidths(space: SearchSpace): (block: string, consumer: string) => number[] {
  const { genes } = space;
  const levels = Math.max(
    0,
    ...genes.filter(({ list }) => list === 'e').map(({ choices }) => choices.length),
  );
  const widths = new Map<string, Set<number>>();
  for (let level = 0; level < levels; level++) {
    const arch = architectureOf(genes, ({ list, choices }) => {
      const step = list === 'e' ? Math.min(level, choices.length - 1) : 0;
      return choices[choices.length - 1 - step]!;
    });
    for (const block of space.network(arch).blocks) {
      for (const layer of block.layers) {
        if (layer.kind !== 'conv') continue;
        const key = `${block.name}.${layer.name}`;
        widths.set(key, (widths.get(key) ?? new Set()).add(layer.inChannels));
      }
    }
  }
  return (block, consumer) => [...(widths.get(`${block}.${consumer}`) ?? [])].sort((a, b) => b - a);
}

/**
 * How to sort the hidden channels of a whole supernet: the blocks whose hidden width is elastic. `stage`: smaller widths
 * trained already (0 before the first phase of elastic width, 1 before the second: `expand_ratio_stage`).
 */
export function channelOrders(
  space: SearchSpace,
  weights: ReadonlyMap<string, Tensor>,
  stage: number,
): Reordering[] {
  const widths = hiddenWidths(space);
  return space.network(space.largest).blocks.flatMap((block) =>
    blockOrders(
      block,
      (name) => weights.get(`${block.name}.${name}`)!,
      (consumer) => widths(block.name, consumer),
      stage,
    ).map((reordering) => ({ ...reordering, name: `${block.name}.${reordering.name}` })),
  );
}

/**
 * The tensors with every reordering applied; those that none concerns are passed on as they are, and names that are not
 * there are skipped (momentum has none for batch-norm statistics). The argument is left alone.
 */
export function reorderChannels(
  tensors: ReadonlyMap<string, Tensor>,
  orders: readonly Reordering[],
): Map<string, Tensor> {
  const result = new Map(tensors);
  for (const { name, dim, order } of orders) {
    const found = result.get(name);
    if (found) result.set(name, permuteDim(found, dim, order));
  }
  return result;
}

function permuteDim({ shape, data }: Tensor, dim: number, order: readonly number[]): Tensor {
  const inner = sizeOf(shape.slice(dim + 1));
  const outer = sizeOf(shape.slice(0, dim));
  const result = new Float32Array(data.length);
  for (let o = 0, to = 0; o < outer; o++) {
    for (const channel of order) {
      const from = (o * order.length + channel) * inner;
      for (let i = 0; i < inner; i++) result[to++] = data[from + i]!;
    }
  }
  return tensor(shape, result);
}

/**
 * Sorted weights, and with them whatever lies beside them under the same names (optimiser momentum). Function-preserving
 * for the largest network. New maps; the arguments are left alone.
 */
export function sortChannels(
  space: SearchSpace,
  weights: ReadonlyMap<string, Tensor>,
  stage: number,
  beside: readonly ReadonlyMap<string, Tensor>[] = [],
): { weights: Map<string, Tensor>; beside: Map<string, Tensor>[] } {
  const orders = channelOrders(space, weights, stage);
  return {
    weights: reorderChannels(weights, orders),
    beside: beside.map((tensors) => reorderChannels(tensors, orders)),
  };
}
