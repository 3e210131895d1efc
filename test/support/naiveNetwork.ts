/** Whole networks in float64, loop by loop: an oracle that shares nothing with graphs, slicing and engines. */
import {
  kernelChain,
  type BlockSpec,
  type ConvLayer,
  type LayerSpec,
  type Network,
  type PoolLayer,
} from '../../src/space/network.js';
import type { Tensor } from '../../src/util/tensor.js';

/** [N, C, H, W], or [N, C] with height = width = 1. */
export interface Batch64 {
  readonly n: number;
  readonly c: number;
  readonly size: number;
  readonly data: Float64Array;
}

export interface NaiveOptions {
  /** Batch norm takes the batch's statistics, which are noted in `statistics`; else the running ones. */
  readonly training: boolean;
  /** Masks of dropout layers [N, features] by full name. */
  readonly masks?: ReadonlyMap<string, ArrayLike<number>>;
}

export interface NaiveResult {
  readonly y: Batch64;
  /** Means and biased variances by full name. */
  readonly statistics: Map<string, Float64Array>;
}

interface Context extends NaiveOptions {
  readonly weights: ReadonlyMap<
    string,
    { readonly shape: readonly number[]; readonly data: ArrayLike<number> }
  >;
  readonly statistics: Map<string, Float64Array>;
}

export function batchOf({ shape, data }: Tensor): Batch64 {
  return { n: shape[0]!, c: shape[1]!, size: shape[2] ?? 1, data: Float64Array.from(data) };
}

const clamp6 = (x: number): number => Math.min(Math.max(x, 0), 6);
const ACTIVATIONS = {
  relu: (x: number) => Math.max(x, 0),
  relu6: clamp6,
  h_swish: (x: number) => (x * clamp6(x + 3)) / 6,
};

/** Value (o, i, y, x) of the active kernel: crop, transform, crop, transform. `own`: weights of the layer. */
function activeKernel(
  layer: ConvLayer,
  own: (suffix: string) => ArrayLike<number>,
  stored: number,
): number[][][] {
  // kernels[o * inputs + i] as a square.
  const full = own('weight');
  const count = full.length / stored ** 2;
  let kernels = Array.from({ length: count }, (_, f) =>
    Array.from({ length: stored }, (_row, y) =>
      Array.from({ length: stored }, (_v, x) => full[(f * stored + y) * stored + x]!),
    ),
  );
  let from = stored;
  for (const to of kernelChain(layer).slice(1)) {
    const margin = (from - to) / 2;
    kernels = kernels.map((k) => k.slice(margin, margin + to).map((row) => row.slice(margin, margin + to)));
    if (layer.kernelTransform) {
      const matrix = own(`transform${from}to${to}`);
      kernels = kernels.map((k) => {
        const flat = k.flat();
        const moved = flat.map((_, r) =>
          flat.reduce((sum, v, c) => sum + v * matrix[r * flat.length + c]!, 0),
        );
        return Array.from({ length: to }, (_, y) => moved.slice(y * to, (y + 1) * to));
      });
    }
    from = to;
  }
  return kernels;
}

function conv(x: Batch64, layer: ConvLayer, block: string, { weights }: Context): Batch64 {
  const { kernel, stride, groups, outChannels } = layer;
  const name = (suffix: string): string => `${block}.${layer.name}.${suffix}`;
  const stored = weights.get(name('weight'))!;
  const perGroup = layer.inChannels / groups;
  const fullInputs = stored.shape[1]!;
  const k = stored.shape[2]!;
  // The leading output and input channels of the stored kernel.
  const leading: number[] = [];
  for (let o = 0; o < outChannels; o++)
    for (let i = 0; i < perGroup; i++)
      for (let j = 0; j < k * k; j++) leading.push(stored.data[(o * fullInputs + i) * k * k + j]!);
  const kernels = activeKernel(layer, (s) => (s === 'weight' ? leading : weights.get(name(s))!.data), k);
  const bias = layer.bias ? weights.get(name('bias'))!.data : undefined;
  const pad = kernel >> 1;
  const size = Math.floor((x.size + 2 * pad - kernel) / stride) + 1;
  const data = new Float64Array(x.n * outChannels * size * size);
  for (let n = 0; n < x.n; n++)
    for (let o = 0; o < outChannels; o++)
      for (let oy = 0; oy < size; oy++)
        for (let ox = 0; ox < size; ox++) {
          let sum = bias?.[o] ?? 0;
          for (let i = 0; i < perGroup; i++) {
            const channel = Math.floor(o / (outChannels / groups)) * perGroup + i;
            for (let ky = 0; ky < kernel; ky++)
              for (let kx = 0; kx < kernel; kx++) {
                const [iy, ix] = [oy * stride + ky - pad, ox * stride + kx - pad];
                if (iy < 0 || ix < 0 || iy >= x.size || ix >= x.size) continue;
                sum +=
                  x.data[((n * x.c + channel) * x.size + iy) * x.size + ix]! *
                  kernels[o * perGroup + i]![ky]![kx]!;
              }
          }
          data[((n * outChannels + o) * size + oy) * size + ox] = sum;
        }
  return { n: x.n, c: outChannels, size, data };
}

/** Mean over images and places of a function of each element, per channel. */
function channelMeans(x: Batch64, f: (v: number, c: number) => number): Float64Array {
  const area = x.size ** 2;
  const sums = new Float64Array(x.c);
  x.data.forEach((v, i) => {
    const c = Math.floor(i / area) % x.c;
    sums[c]! += f(v, c);
  });
  return sums.map((v) => v / (x.n * area));
}

function batchNorm(
  x: Batch64,
  layer: Extract<LayerSpec, { kind: 'batchNorm' }>,
  block: string,
  context: Context,
): Batch64 {
  const own = (suffix: string) => context.weights.get(`${block}.${layer.name}.${suffix}`)!.data;
  let mean = own('runningMean');
  let variance = own('runningVariance');
  if (context.training) {
    const means = channelMeans(x, (v) => v);
    mean = means;
    variance = channelMeans(x, (v, c) => (v - means[c]!) ** 2);
    context.statistics.set(`${block}.${layer.name}.runningMean`, means);
    context.statistics.set(`${block}.${layer.name}.runningVariance`, Float64Array.from(variance));
  }
  const [scale, shift] = [own('weight'), own('bias')];
  const area = x.size ** 2;
  return {
    ...x,
    data: x.data.map((v, i) => {
      const c = Math.floor(i / area) % x.c;
      return ((v - mean[c]!) / Math.sqrt(variance[c]! + layer.epsilon)) * scale[c]! + shift[c]!;
    }),
  };
}

/** Rows [N, I] times the leading [O, I] of a stored matrix, transposed. */
function dense(x: Batch64, outputs: number, name: string, { weights }: Context, bias: boolean): Batch64 {
  const { shape, data: w } = weights.get(`${name}.weight`)!;
  const data = new Float64Array(x.n * outputs);
  for (let n = 0; n < x.n; n++)
    for (let o = 0; o < outputs; o++) {
      let sum = bias ? weights.get(`${name}.bias`)!.data[o]! : 0;
      for (let i = 0; i < x.c; i++) sum += x.data[n * x.c + i]! * w[o * shape[1]! + i]!;
      data[n * outputs + o] = sum;
    }
  return { n: x.n, c: outputs, size: 1, data };
}

function pool(x: Batch64): Batch64 {
  const area = x.size ** 2;
  const data = Float64Array.from({ length: x.n * x.c }, (_, i) =>
    x.data.subarray(i * area, (i + 1) * area).reduce((sum, v) => sum + v / area, 0),
  );
  return { n: x.n, c: x.c, size: 1, data };
}

/** Maximum or mean of what each window covers of the image. */
function windowPool(x: Batch64, layer: PoolLayer, of: (covered: number[]) => number): Batch64 {
  const { kernel, stride, padding, ceil = false } = layer;
  // Windows one by one, until one would begin beyond the image or, without `ceil`, end beyond its padding.
  const starts: number[] = [];
  for (let start = -padding; start < x.size; start += stride)
    if (ceil || start + kernel <= x.size + padding) starts.push(start);
    else break;
  if (ceil && starts.length > 1 && starts.at(-2)! + kernel >= x.size + padding) starts.pop();
  const inside = (start: number): number[] =>
    Array.from({ length: kernel }, (_, i) => start + i).filter((p) => p >= 0 && p < x.size);
  const data: number[] = [];
  for (let map = 0; map < x.n * x.c; map++)
    for (const top of starts)
      for (const left of starts) {
        const at = inside(top).flatMap((y) => inside(left).map((column) => y * x.size + column));
        data.push(of(at.map((i) => x.data[map * x.size ** 2 + i]!)));
      }
  return { n: x.n, c: x.c, size: starts.length, data: Float64Array.from(data) };
}

function layerForward(x: Batch64, layer: LayerSpec, block: string, context: Context): Batch64 {
  const name = `${block}.${layer.name}`;
  switch (layer.kind) {
    case 'conv':
      return conv(x, layer, block, context);
    case 'batchNorm':
      return batchNorm(x, layer, block, context);
    case 'activation':
      return { ...x, data: x.data.map(ACTIVATIONS[layer.activation]) };
    case 'squeezeExcite': {
      const inner = dense(pool(x), layer.midChannels, `${name}.reduce`, context, true);
      const rectified = { ...inner, data: inner.data.map((v) => Math.max(v, 0)) };
      const gate = dense(rectified, x.c, `${name}.expand`, context, true).data.map((v) => clamp6(v + 3) / 6);
      return { ...x, data: x.data.map((v, i) => v * gate[Math.floor(i / x.size ** 2)]!) };
    }
    case 'globalPool':
      return pool(x);
    case 'linear':
      return dense(x, layer.outFeatures, name, context, layer.bias);
    case 'dropout': {
      const mask = context.masks?.get(`${name}.mask`);
      return mask === undefined ? x : { ...x, data: x.data.map((v, i) => v * mask[i]!) };
    }
    case 'maxPool':
      return windowPool(x, layer, (covered) => Math.max(...covered));
    case 'averagePool':
      return windowPool(x, layer, (covered) => covered.reduce((a, b) => a + b) / covered.length);
  }
}

/** One block with the supernet's tensors (by full name, at full size). */
export function naiveBlock(
  block: BlockSpec,
  x: Batch64,
  weights: Context['weights'],
  options: NaiveOptions,
): NaiveResult {
  const context: Context = { ...options, weights, statistics: new Map() };
  const run = (layers: readonly LayerSpec[]): Batch64 =>
    layers.reduce((value, layer) => layerForward(value, layer, block.name, context), x);
  let y = run(block.layers);
  if (block.shortcut !== 'none') {
    const side = block.shortcut === 'identity' ? x : run(block.shortcut);
    y = { ...y, data: y.data.map((v, i) => v + side.data[i]!) };
    if (block.activationAfter !== undefined)
      y = { ...y, data: y.data.map(ACTIVATIONS[block.activationAfter]) };
  }
  return { y, statistics: context.statistics };
}

/** Logits [N, classes]. */
export function naiveNetwork(
  network: Network,
  images: Tensor,
  weights: Context['weights'],
  options: NaiveOptions,
): NaiveResult {
  const statistics = new Map<string, Float64Array>();
  let y = batchOf(images);
  for (const block of network.blocks) {
    const result = naiveBlock(block, y, weights, options);
    for (const [name, values] of result.statistics) statistics.set(name, values);
    y = result.y;
  }
  return { y, statistics };
}

/** Mean over the rows of -sum targets * log softmax(logits). */
export function naiveLoss({ n, c, data }: Batch64, targets: Tensor): number {
  let loss = 0;
  for (let row = 0; row < n; row++) {
    const values = data.subarray(row * c, (row + 1) * c);
    const top = Math.max(...values);
    const total = Math.log(values.reduce((sum, v) => sum + Math.exp(v - top), 0)) + top;
    values.forEach((v, i) => (loss -= (targets.data[row * c + i]! * (v - total)) / n));
  }
  return loss;
}
