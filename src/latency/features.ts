/** What of a network moves its latency, beside the table: few numbers, so that 20 to 50 measurements can weigh them. */
import { networkCosts } from '../space/costs.js';
import { layerOutput, type ConvLayer, type ImageShape, type Network } from '../space/network.js';

const elements = ({ channels, height, width }: ImageShape): number => channels * height * width;

function eachConvolution(network: Network, visit: (layer: ConvLayer, output: ImageShape) => void): void {
  for (const block of network.blocks) {
    const paths = [block.layers, ...(typeof block.shortcut === 'string' ? [] : [block.shortcut])];
    for (const layers of paths) {
      let shape = block.input;
      for (const layer of layers) {
        shape = layerOutput(layer, shape);
        if (layer.kind === 'conv') visit(layer, shape);
      }
    }
  }
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
  let activations = 0;
  let denseMacs = 0;
  let depthwiseMacs = 0;
  eachConvolution(network, ({ groups, kernel, inChannels }, output) => {
    const written = elements(output);
    const work = written * (inChannels / groups) * kernel ** 2;
    activations += written;
    if (groups > 1) depthwiseMacs += work;
    else denseMacs += work;
  });
  return {
    macs,
    activations,
    blocks: network.blocks.length,
    area: network.input.height * network.input.width,
    denseMacs,
    depthwiseMacs,
    boundary: network.blocks.reduce((total, { input }) => total + elements(input), 0),
    params,
  };
}
