/** What of a network moves its latency, beside the table: few numbers, so that 20 to 50 measurements can weigh them. */
import { networkCosts } from '../space/costs.js';
import { layerOutput, type BlockSpec, type Network } from '../space/network.js';
import { shapeElements } from '../space/shape.js';

/** Of a block's convolutions, as in `FEATURE_NAMES`. */
interface ConvolutionWork {
  activations: number;
  denseMacs: number;
  depthwiseMacs: number;
}

function countConvolutions(block: BlockSpec): ConvolutionWork {
  const work: ConvolutionWork = { activations: 0, denseMacs: 0, depthwiseMacs: 0 };
  const paths = [block.layers, ...(typeof block.shortcut === 'string' ? [] : [block.shortcut])];
  for (const layers of paths) {
    let shape = block.input;
    for (const layer of layers) {
      shape = layerOutput(layer, shape);
      if (layer.kind !== 'conv') continue;
      const { groups, kernel, inChannels } = layer;
      const written = shapeElements(shape);
      work.activations += written;
      work[groups > 1 ? 'depthwiseMacs' : 'denseMacs'] += written * (inChannels / groups) * kernel ** 2;
    }
  }
  return work;
}

/** Blocks are shared between the networks of a space, so most were counted before: searches ask about a million networks. */
const counted = new WeakMap<BlockSpec, ConvolutionWork>();

function convolutionWork(block: BlockSpec): ConvolutionWork {
  let work = counted.get(block);
  if (work === undefined) counted.set(block, (work = countConvolutions(block)));
  return work;
}

export const FEATURE_NAMES = [
  'macs',
  /** Numbers that convolutions write. */
  'activations',
  'blocks',
  /** Pixels of the input. */
  'area',
  'denseMacs',
  'depthwiseMacs',
  /** Numbers that pass from block to block. */
  'boundary',
  /** Weights that have to come from memory: a block that is timed alone finds its own in the cache. */
  'params',
] as const;
export type FeatureName = (typeof FEATURE_NAMES)[number];

/** Every feature by name; values in their natural unit at batch 1, all above or equal to 0. */
export type NetworkFeatures = Readonly<Record<FeatureName, number>>;

export function networkFeatures(network: Network): NetworkFeatures {
  const { macs, params } = networkCosts(network);
  const total: ConvolutionWork = { activations: 0, denseMacs: 0, depthwiseMacs: 0 };
  let boundary = 0;
  for (const block of network.blocks) {
    const work = convolutionWork(block);
    total.activations += work.activations;
    total.denseMacs += work.denseMacs;
    total.depthwiseMacs += work.depthwiseMacs;
    boundary += shapeElements(block.input);
  }
  return {
    macs,
    blocks: network.blocks.length,
    area: network.input.height * network.input.width,
    ...total,
    boundary,
    params,
  };
}
