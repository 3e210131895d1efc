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

function convolutionMacs(network: Network, depthwise: boolean): number {
  let macs = 0;
  eachConvolution(network, ({ groups, kernel, inChannels }, output) => {
    if (groups > 1 === depthwise) macs += elements(output) * (inChannels / groups) * kernel ** 2;
  });
  return macs;
}

/** Every feature by name; values in their natural unit at batch 1. */
export const networkFeatures = {
  macs: (network: Network) => networkCosts(network).macs,
  /** Numbers that convolutions write. */
  activations(network: Network) {
    let count = 0;
    eachConvolution(network, (_, output) => {
      count += elements(output);
    });
    return count;
  },
  blocks: (network: Network) => network.blocks.length,
  /** Pixels of the input. */
  area: ({ input }: Network) => input.height * input.width,
  denseMacs: (network: Network) => convolutionMacs(network, false),
  depthwiseMacs: (network: Network) => convolutionMacs(network, true),
  /** Numbers that pass from block to block: a block that is timed alone may convert their layout, a network does not. */
  boundary: (network: Network) => network.blocks.reduce((sum, { input }) => sum + elements(input), 0),
} as const;

export type FeatureName = keyof typeof networkFeatures;
