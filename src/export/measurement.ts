/** Models to be timed: single blocks and whole networks with random weights. */
import { GraphBuilder, type Value } from '../graph/graph.js';
import { appendBlock } from '../graph/network.js';
import { slice } from '../graph/operations/shape.js';
import { onnxTarget } from '../lowering/onnx.js';
import { forInference } from '../lowering/passes/forInference.js';
import type { ActivationName, BlockSpec, LayerSpec, Network } from '../space/network.js';
import { blockParameters, type ParameterSpec } from '../space/parameters.js';
import { staticNetwork } from '../supernet/subnet.js';
import { createRandom, type Random } from '../util/random.js';
import { tensor, type Tensor } from '../util/tensor.js';

export interface MeasurementOptions {
  readonly batch: number;
  readonly seed: number;
}

/** E[f(x)^2] of x from N(0, 1). */
const SECOND_MOMENT: Record<ActivationName, number> = { relu: 0.5, relu6: 0.5, h_swish: 0.333 };
/** Mean square of a hard sigmoid's output around 0: what squeeze-excite scales squares with. */
const GATE = 0.278;
/** E[f(x)]^2: what is left after averaging over an image. */
const SQUARED_MEAN: Record<ActivationName, number> = { relu: 0.159, relu6: 0.159, h_swish: 0.028 };

/** Of a value on its way through a chain: its second moment, and that of its mean over an image. */
interface Moments {
  readonly square: number;
  readonly pooled: number;
}
const START: Moments = { square: 1, pooled: 1 };

/**
 * Second moment of what each layer of a chain gets, into `found`; the result is that of the last layer's output. Weights
 * make up for it, so that every sum is near N(0, 1) however deep the network is.
 */
function follow(layers: readonly LayerSpec[], input: Moments, found: Map<string, number>): Moments {
  return layers.reduce(({ square, pooled }, layer) => {
    found.set(layer.name, square);
    switch (layer.kind) {
      case 'conv':
      case 'linear':
        return START;
      case 'activation':
        return {
          square: square * SECOND_MOMENT[layer.activation],
          pooled: square * SQUARED_MEAN[layer.activation],
        };
      case 'squeezeExcite':
        found.set(`${layer.name}.reduce`, pooled);
        found.set(`${layer.name}.expand`, SECOND_MOMENT.relu);
        return { square: square * GATE, pooled: pooled * GATE };
      case 'globalPool':
        return { square: pooled, pooled };
      default:
        return { square, pooled };
    }
  }, input);
}

/** Seeded tensors of blocks by full name: weights of variance 1 / (fan-in * second moment of the input), batch norm neutral. */
export function randomTensors(blocks: readonly BlockSpec[], seed: number): Map<string, Tensor> {
  const result = new Map<string, Tensor>();
  let moments = START;
  for (const block of blocks) {
    const found = new Map<string, number>();
    const inner = follow(block.layers, moments, found);
    if (block.shortcut === 'none') {
      moments = inner;
    } else {
      const side = block.shortcut === 'identity' ? moments : follow(block.shortcut, moments, found);
      moments = { square: inner.square + side.square, pooled: inner.pooled + side.pooled };
    }
    for (const parameter of blockParameters(block, 'used')) {
      const { name } = parameter;
      const moment = found.get(name.slice(0, name.lastIndexOf('.'))) ?? 1;
      const random = createRandom(seed, 'measurement', block.name, name);
      result.set(`${block.name}.${name}`, randomTensor(parameter, moment, random));
    }
  }
  return result;
}

function randomTensor({ shape, role }: ParameterSpec, moment: number, random: Random): Tensor {
  const result = tensor(shape);
  const { data } = result;
  if (role === 'normScale' || role === 'runningVariance') data.fill(1);
  if (role !== 'weight') return result;
  const scale = Math.sqrt(shape[0]! / (data.length * moment));
  for (let i = 0; i < data.length; i++) data[i] = random.normal() * scale;
  return result;
}

function encode(blocks: readonly BlockSpec[], { batch, seed }: MeasurementOptions, cut: boolean): Uint8Array {
  const b = new GraphBuilder();
  const { channels, height, width } = blocks[0]!.input;
  const tensors = randomTensors(blocks, seed);
  const x = b.input('input', [batch, channels, height, width]);
  const y = blocks.reduce<Value>((value, block) => {
    const parameter = (name: string): Value => {
      const { shape, data } = tensors.get(`${block.name}.${name}`)!;
      return b.constant(`${block.name}.${name}`, shape, data);
    };
    return appendBlock(b, block, value, parameter, 'inference').y;
  }, x);
  // A runtime copies outputs, which for an image costs more than many a block (docs/measuring.md).
  const isImage = y.shape.length === 4;
  const ones = y.shape.map(() => 1);
  b.output(
    'output',
    cut && isImage
      ? slice(
          b,
          y,
          y.shape.map(() => 0),
          ones,
        )
      : y,
  );
  return onnxTarget.lower(forInference(b.build()), { name: 'measurement' });
}

/** The block without its elastic kernels. */
function fixed(blocks: readonly BlockSpec[], of: BlockSpec): readonly BlockSpec[] {
  return staticNetwork({ input: of.input, classes: 1, blocks }).blocks;
}

/**
 * A block alone, to be timed: input `input` [batch, C, H, W], output `output`, an image cut down to its first element.
 * Static shapes, batch norm folded, seeded random weights.
 */
export function blockModel(block: BlockSpec, options: MeasurementOptions): Uint8Array {
  return encode(fixed([block], block), options, true);
}

/** A whole network, likewise; output [batch, classes]. */
export function networkModel(network: Network, options: MeasurementOptions): Uint8Array {
  return encode(staticNetwork(network).blocks, options, true);
}
