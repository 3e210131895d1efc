/** Networks as graphs: each kind of layer becomes operations, once, for every family and every use. */
import {
  kernelChain,
  pooledSize,
  type BlockSpec,
  type ConvLayer,
  type DropoutLayer,
  type LayerSpec,
  type PoolLayer,
  type SqueezeExciteLayer,
} from '../space/network.js';
import { blockLayers, blockParameters, isTrainable, transformSuffix } from '../space/parameters.js';
import { differentiate } from './differentiate.js';
import { GraphBuilder, type Graph, type Value } from './graph.js';
import { activation } from './operations/activation.js';
import { averagePool } from './operations/averagePool.js';
import { batchNorm, batchNormInferenceOperation } from './operations/batchNorm.js';
import { conv2d } from './operations/conv.js';
import { add, addBias, mul } from './operations/elementwise.js';
import { matmul } from './operations/matmul.js';
import { maxPool } from './operations/maxPool.js';
import { asImage, globalAveragePool } from './operations/pool.js';
import { centreCrop, reshape } from './operations/shape.js';
import { crossEntropy } from './operations/softmax.js';
import type { PoolAttributes } from './operations/window.js';

/**
 * `training`: batch norm takes the batch's statistics, dropout masks are inputs; `calibration`: the same without
 * dropout; `inference`: batch norm takes given statistics.
 */
export type Mode = 'training' | 'calibration' | 'inference';

/** Batch statistics of one batch-norm layer: [C] each, the variance biased. */
export interface Statistics {
  /** Layer's name relative to its block. */
  readonly layer: string;
  readonly mean: Value;
  readonly variance: Value;
}

export interface BlockResult {
  readonly y: Value;
  readonly statistics: readonly Statistics[];
}

/** What a block's layers share while they are written. */
interface Context {
  readonly b: GraphBuilder;
  readonly mode: Mode;
  /** A parameter or dropout mask by its name relative to the block. */
  readonly parameter: (name: string) => Value;
  readonly statistics: Statistics[];
}

/**
 * Appends a block. x: [N, C, H, W]; the result likewise, or [N, features] after a global pool. `parameter` gives the
 * tensors of `blockParameters(block, 'used')`, and of `dropoutMasks(block)` in training, by relative name.
 */
export function appendBlock(
  b: GraphBuilder,
  block: BlockSpec,
  x: Value,
  parameter: (name: string) => Value,
  mode: Mode,
): BlockResult {
  const context: Context = { b, mode, parameter, statistics: [] };
  const run = (layers: readonly LayerSpec[]): Value =>
    layers.reduce((value, layer) => b.scope(layer.name, () => appendLayer(context, layer, value)), x);
  const y = b.scope(block.name, () => {
    const inner = run(block.layers);
    if (block.shortcut === 'none') return inner;
    const sum = add(b, inner, block.shortcut === 'identity' ? x : run(block.shortcut));
    return block.activationAfter === undefined ? sum : activation(b, sum, block.activationAfter);
  });
  return { y, statistics: context.statistics };
}

function appendLayer(context: Context, layer: LayerSpec, x: Value): Value {
  const { b, mode, parameter } = context;
  const own = (suffix: string): Value => parameter(`${layer.name}.${suffix}`);
  switch (layer.kind) {
    case 'conv': {
      const { stride, groups, kernel } = layer;
      const attributes = { stride, padding: kernel >> 1, groups };
      return conv2d(b, x, activeKernel(b, layer, own), attributes, layer.bias ? own('bias') : undefined);
    }
    case 'batchNorm': {
      const { epsilon } = layer;
      if (mode === 'inference') {
        return b.one(
          batchNormInferenceOperation,
          { epsilon },
          x,
          ...['weight', 'bias', 'runningMean', 'runningVariance'].map(own),
        );
      }
      const { y, mean, variance } = batchNorm(b, x, own('weight'), own('bias'), epsilon);
      context.statistics.push({ layer: layer.name, mean, variance });
      return y;
    }
    case 'activation':
      return activation(b, x, layer.activation);
    case 'squeezeExcite':
      return squeezeExcite(b, layer, x, own);
    case 'globalPool':
      return globalAveragePool(b, x);
    case 'linear': {
      const y = matmul(b, x, own('weight'), false, true);
      return layer.bias ? addBias(b, y, own('bias')) : y;
    }
    case 'dropout':
      return mode === 'training' && layer.rate > 0 ? mul(b, x, own('mask')) : x;
    case 'maxPool':
      return maxPool(b, x, windowsOf(layer, x));
    case 'averagePool':
      return averagePool(b, x, windowsOf(layer, x));
  }
}

function windowsOf(layer: PoolLayer, { shape }: Value): PoolAttributes {
  const { kernel, stride, padding } = layer;
  return { kernel, stride, padding, windows: [pooledSize(shape[2]!, layer), pooledSize(shape[3]!, layer)] };
}

/**
 * The kernel that the layer computes with: at every step down the centre of the larger one, as a row vector times the
 * transposed matrix of that step (`EN/modules/dynamic_op.py:75-102`).
 */
function activeKernel(b: GraphBuilder, layer: ConvLayer, own: (suffix: string) => Value): Value {
  const chain = kernelChain(layer);
  let kernel = own('weight');
  for (let i = 1; i < chain.length; i++) {
    const [from, to] = [chain[i - 1]!, chain[i]!];
    kernel = centreCrop(b, kernel, to);
    if (!layer.kernelTransform) continue;
    const [o, c] = kernel.shape as [number, number];
    const rows = reshape(b, kernel, [o * c, to * to]);
    kernel = reshape(b, matmul(b, rows, own(transformSuffix(from, to)), false, true), [o, c, to, to]);
  }
  return kernel;
}

/** x * hardSigmoid(W2 relu(W1 mean(x) + b1) + b2), per channel (Hu et al., 2018; MobileNetV3's form). */
function squeezeExcite(
  b: GraphBuilder,
  _layer: SqueezeExciteLayer,
  x: Value,
  own: (suffix: string) => Value,
): Value {
  const dense = (v: Value, name: string): Value =>
    addBias(b, matmul(b, v, own(`${name}.weight`), false, true), own(`${name}.bias`));
  const inner = activation(b, dense(globalAveragePool(b, x), 'reduce'), 'relu');
  return mul(b, x, asImage(b, activation(b, dense(inner, 'expand'), 'h_sigmoid')));
}

/** Dropout layers of a block with their number of features: the shape of their masks but for the batch. */
export function dropoutMasks(
  block: BlockSpec,
): { readonly name: string; readonly features: number; readonly rate: number }[] {
  const layers = blockLayers(block);
  return layers
    .filter((layer): layer is DropoutLayer => layer.kind === 'dropout' && layer.rate > 0)
    .map((layer) => {
      const next = layers.slice(layers.indexOf(layer)).find((l) => l.kind === 'linear');
      return {
        name: `${layer.name}.mask`,
        features: next?.inFeatures ?? block.output.channels,
        rate: layer.rate,
      };
    });
}

/** Names of a segment's tensors: a segment is a run of consecutive blocks that one program computes. */
export const segmentName = (block: number, name: string): string => `${block}.${name}`;
/** Prefix of an output that is the gradient of the input of that name. */
export const GRADIENT = 'gradient:';

function segmentInputs(
  b: GraphBuilder,
  blocks: readonly BlockSpec[],
  batch: number,
  mode: Mode,
): Map<string, Value> {
  const values = new Map<string, Value>();
  blocks.forEach((block, i) => {
    for (const { name, shape, role } of blockParameters(block, 'used')) {
      if (mode !== 'inference' && !isTrainable(role)) continue;
      values.set(segmentName(i, name), b.input(segmentName(i, name), shape));
    }
    if (mode !== 'training') return;
    for (const { name, features } of dropoutMasks(block))
      values.set(segmentName(i, name), b.input(segmentName(i, name), [batch, features]));
  });
  return values;
}

function appendSegment(
  b: GraphBuilder,
  blocks: readonly BlockSpec[],
  x: Value,
  values: ReadonlyMap<string, Value>,
  mode: Mode,
): Value {
  let y = x;
  blocks.forEach((block, i) => {
    const result = appendBlock(b, block, y, (name) => values.get(segmentName(i, name))!, mode);
    for (const { layer, mean, variance } of result.statistics) {
      b.output(segmentName(i, `${layer}.runningMean`), mean);
      b.output(segmentName(i, `${layer}.runningVariance`), variance);
    }
    y = result.y;
  });
  return y;
}

const imageOf = (block: BlockSpec, batch: number): number[] => [
  batch,
  block.input.channels,
  block.input.height,
  block.input.width,
];

/**
 * Forward pass of a segment. Inputs `x` and the tensors of its blocks (`segmentName`); outputs `y` and, unless in
 * inference mode, the batch statistics of every batch-norm layer as `runningMean` and `runningVariance`.
 */
export function forwardGraph(blocks: readonly BlockSpec[], batch: number, mode: Mode): Graph {
  const b = new GraphBuilder();
  const x = b.input('x', imageOf(blocks[0]!, batch));
  b.output('y', appendSegment(b, blocks, x, segmentInputs(b, blocks, batch, mode), mode));
  return b.build();
}

/**
 * Forward and backward pass of a segment in training mode. Inputs as `forwardGraph`, and `dy`, the gradient of `y`, or,
 * for the segment that ends in logits (`loss`), `targets` [N, K]. Outputs: `gradient:x` if `inputGradient`, the gradient
 * of every parameter, and with `loss` also `loss` [1]; with `loss` or `results` also `y` (the logits, with `loss`) and the
 * batch statistics.
 */
export function backwardGraph(
  blocks: readonly BlockSpec[],
  batch: number,
  options: { readonly loss: boolean; readonly inputGradient: boolean; readonly results?: boolean },
): Graph {
  const results = options.loss || options.results === true;
  const b = new GraphBuilder();
  const x = b.input('x', imageOf(blocks[0]!, batch));
  const values = segmentInputs(b, blocks, batch, 'training');
  const y = results
    ? appendSegment(b, blocks, x, values, 'training')
    : blocks.reduce(
        (v, block, i) => appendBlock(b, block, v, (name) => values.get(segmentName(i, name))!, 'training').y,
        x,
      );
  let seed: { value: Value; gradient: Value };
  if (options.loss) {
    const loss = crossEntropy(b, y, b.input('targets', y.shape));
    seed = { value: loss, gradient: b.constant('one', [1], Float32Array.of(1)) };
    b.output('loss', loss);
  } else {
    seed = { value: y, gradient: b.input('dy', y.shape) };
  }
  if (results) b.output('y', y);
  const wanted: [string, Value][] = [...values].filter(([name]) => !name.endsWith('.mask'));
  if (options.inputGradient) wanted.unshift(['x', x]);
  const gradients = differentiate(
    b,
    [seed],
    wanted.map(([, value]) => value),
  );
  wanted.forEach(([name], i) => b.output(GRADIENT + name, gradients[i]!));
  return b.build();
}

type NamedTensors = ReadonlyMap<string, { readonly data: Float32Array; readonly shape: readonly number[] }>;

/** Appends whole blocks with their tensors as constants, by full name. */
function appendNetwork(
  b: GraphBuilder,
  blocks: readonly BlockSpec[],
  tensors: NamedTensors,
  batch: number,
  mode: Mode,
): { readonly y: Value; readonly statistics: readonly (Statistics & { readonly block: string })[] } {
  let y = b.input('input', imageOf(blocks[0]!, batch));
  const statistics = [];
  for (const block of blocks) {
    const parameter = (name: string): Value => {
      const full = `${block.name}.${name}`;
      const tensor = tensors.get(full);
      if (tensor === undefined) throw new RangeError(`Cannot build the network: tensor "${full}" is missing`);
      return b.constant(full, tensor.shape, tensor.data);
    };
    const result = appendBlock(b, block, y, parameter, mode);
    statistics.push(...result.statistics.map((own) => ({ ...own, block: block.name })));
    y = result.y;
  }
  return { y, statistics };
}

/**
 * The whole network in inference mode with its tensors as constants, by full name (`block.layer.suffix`). Input `input`
 * [N, C, H, W], output `logits` [N, classes].
 */
export function inferenceGraph(blocks: readonly BlockSpec[], tensors: NamedTensors, batch: number): Graph {
  const b = new GraphBuilder();
  b.output('logits', appendNetwork(b, blocks, tensors, batch, 'inference').y);
  return b.build();
}

/**
 * What batch norm sees of a batch: input and constants as `inferenceGraph`, batch norm normalising with the batch's own
 * statistics; outputs these, by the full names of `runningMean` and (biased) `runningVariance`. What no statistics
 * depend on is left out.
 */
export function calibrationGraph(blocks: readonly BlockSpec[], tensors: NamedTensors, batch: number): Graph {
  const b = new GraphBuilder();
  const { statistics } = appendNetwork(b, blocks, tensors, batch, 'calibration');
  for (const { block, layer, mean, variance } of statistics) {
    b.output(`${block}.${layer}.runningMean`, mean);
    b.output(`${block}.${layer}.runningVariance`, variance);
  }
  return b.build();
}
