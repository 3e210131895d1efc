/** What a network costs, counted from its description: multiply-accumulates, parameters, bytes. */
import { layerRule, type LayerSpec } from './layers/index.js';
import { layerOutput, type BlockSpec, type Network } from './network.js';
import { blockLayers } from './parameters.js';
import { shapeElements } from './shape.js';

const FLOAT_BYTES = 4;

export interface Costs {
  /**
   * Multiply-accumulates at batch 1: convolutions, dense layers and the two dense layers of squeeze-excite, as the
   * reference counts them (`ofa/nas/efficiency_predictor/latency_lookup_table.py:424-494`). Biases, norms, activations
   * and pools are not counted.
   */
  readonly macs: number;
  /**
   * Trainable parameters of the extracted subnet, kernels at their active size: weights, biases, batch norm's scale and
   * shift. Running statistics and kernel transforms are not counted.
   */
  readonly params: number;
  /** Weights and biases of the exported float32 model, batch norms folded into the convolutions before them. */
  readonly modelBytes: number;
  /**
   * The most bytes of float32 activations alive at once at batch 1: while a convolution, pool or dense layer runs, its
   * input and output, and the block's input where a shortcut still needs it (while layers of a shortcut run: their
   * input and output and the main path's result). Norms, activations, dropout, squeeze-excite's scaling and the
   * addition work in place.
   */
  readonly peakActivationBytes: number;
}

export interface BlockCosts extends Costs {
  readonly name: string;
  readonly key: string;
}

export interface NetworkCosts extends Costs {
  readonly blocks: readonly BlockCosts[];
}

/** Numbers the exported model stores: a folded batch norm leaves its convolution a bias (if it had none) and nothing else. */
function storedNumbers(layers: readonly LayerSpec[]): number {
  let total = 0;
  layers.forEach((layer, i) => {
    if (layer.kind !== 'batchNorm') {
      total += layerRule(layer).params(layer);
      return;
    }
    const before = layers[i - 1];
    if (before?.kind !== 'conv') total += 2 * layer.channels;
    else if (!before.bias) total += layer.channels;
  });
  return total;
}

const allocates = (layer: LayerSpec): boolean => layerRule(layer).allocates;

function peakActivations(block: BlockSpec): number {
  const input = shapeElements(block.input);
  let peak = input;
  let shape = block.input;
  let own = false;
  for (const layer of block.layers) {
    const output = layerOutput(layer, shape);
    if (allocates(layer)) {
      const kept = own && block.shortcut !== 'none' ? input : 0;
      peak = Math.max(peak, shapeElements(shape) + shapeElements(output) + kept);
      own = true;
    }
    shape = output;
  }
  if (block.shortcut !== 'none') peak = Math.max(peak, input + shapeElements(shape));
  if (typeof block.shortcut !== 'string') {
    const result = shapeElements(shape);
    let side = block.input;
    for (const layer of block.shortcut) {
      const output = layerOutput(layer, side);
      if (allocates(layer)) peak = Math.max(peak, shapeElements(side) + shapeElements(output) + result);
      side = output;
    }
  }
  return peak;
}

/** Blocks are shared between the networks of a space, so most were counted before. */
const counted = new WeakMap<BlockSpec, BlockCosts>();

export function blockCosts(block: BlockSpec): BlockCosts {
  let costs = counted.get(block);
  if (costs === undefined) counted.set(block, (costs = countBlock(block)));
  return costs;
}

function countBlock(block: BlockSpec): BlockCosts {
  let macs = 0;
  const count = (layers: readonly LayerSpec[]): void => {
    let shape = block.input;
    for (const layer of layers) {
      shape = layerOutput(layer, shape);
      macs += layerRule(layer).macs(layer, shape);
    }
  };
  count(block.layers);
  if (typeof block.shortcut !== 'string') count(block.shortcut);
  const shortcutNumbers = typeof block.shortcut === 'string' ? 0 : storedNumbers(block.shortcut);
  return {
    name: block.name,
    key: block.key,
    macs,
    params: blockLayers(block).reduce((sum, layer) => sum + layerRule(layer).params(layer), 0),
    modelBytes: FLOAT_BYTES * (storedNumbers(block.layers) + shortcutNumbers),
    peakActivationBytes: FLOAT_BYTES * peakActivations(block),
  };
}

/** Costs of a network and of each of its blocks; the sums of the blocks', but the maximum of their activation peaks. */
export function networkCosts(network: Network): NetworkCosts {
  const blocks = network.blocks.map(blockCosts);
  let [macs, params, modelBytes, peakActivationBytes] = [0, 0, 0, 0];
  for (const block of blocks) {
    macs += block.macs;
    params += block.params;
    modelBytes += block.modelBytes;
    peakActivationBytes = Math.max(peakActivationBytes, block.peakActivationBytes);
  }
  return { macs, params, modelBytes, peakActivationBytes, blocks };
}
