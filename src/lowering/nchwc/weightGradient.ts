/**
 * Weight gradients: convolutions whose filter is a tensor of activations as it lies in memory. Images become groups,
 * because [N, C / B, H, W, B] is at once one image of N * C channels and N * C filters of one channel each.
 */
import type { Value } from '../../graph/graph.js';
import { convWeightGradientOperation, type ConvAttributes } from '../../graph/operations/conv.js';
import type { Shape } from '../../util/tensor.js';
import type { BlockedWriter } from './blockedWriter.js';
import { isDepthwise, scaleRows } from './convolution.js';
import type { Facts } from './facts.js';
import { blockedRule } from './rule.js';

interface WeightCall {
  readonly w: BlockedWriter;
  readonly facts: Facts;
  readonly x: Value;
  readonly dy: Value;
  /** dy in blocked form, but for a factor per channel. */
  readonly gradient: () => string;
  readonly attributes: ConvAttributes;
  readonly weightShape: Shape;
}
/** Writes the node that ends a computation, with the names of its outputs where they are given. */
type LastNode = (outputs?: readonly string[]) => string;

export const convWeightGradientRule = blockedRule(
  convWeightGradientOperation,
  ({ w, facts, attributes, inputs, outputs }) => {
    const [x, dy] = inputs as readonly [Value, Value];
    const { weightShape } = attributes;
    const scaled = facts.scaled.get(dy);
    const form = formOf(w, x, attributes, weightShape);
    if (form === undefined) return false;
    const gradient = (): string => scaled?.base ?? w.blocked(dy);
    const last = form({ w, facts, x, dy, gradient, attributes, weightShape });
    const output = w.plainOutput(outputs[0]!);
    // The factor of dy goes into the result, which is small.
    if (scaled === undefined) last(output);
    else scaleRows(w, last(), scaled.factor, weightShape[0]!, output);
    return true;
  },
);

/** The form for a convolution, or undefined where the plain one is taken. */
function formOf(
  w: BlockedWriter,
  x: Value,
  attributes: ConvAttributes,
  weightShape: Shape,
): ((call: WeightCall) => LastNode) | undefined {
  const { stride, padding, groups } = attributes;
  const [n, channels] = x.shape as [number, number];
  if (isDepthwise(attributes, weightShape)) return depthwise;
  if (groups !== 1) return undefined;
  if (weightShape[2] === 1 && stride === 1 && padding === 0) return pointwise;
  const fits = channels < w.block && (n < w.block || n % w.block === 0);
  return fits ? ofPlainImage : undefined;
}

/** Zeros after the last row and column that a window reaches; negative where some rows are reached by no window. */
function padsOf({ x, dy, attributes: { stride, padding }, weightShape }: WeightCall): [number, number] {
  const end = (axis: number): number =>
    (dy.shape[axis]! - 1) * stride + weightShape[2]! - padding - x.shape[axis]!;
  return [end(2), end(3)];
}

/** A blocked result [...lead, rows, columns, B] of at least k rows and columns, cut to k. */
function cutWindow(w: BlockedWriter, name: string, end: readonly number[], lead: Shape, k: number): string {
  const size = end.map((n) => k + Math.max(0, -n));
  if (size.every((s) => s === k)) return name;
  const images = w.reshape(name, [...lead, size[0]!, size[1]!, w.block]);
  const rows = w.cut(images, lead.length, size[0]!, k);
  return w.cut(rows, lead.length + 1, size[1]!, k);
}

/** Sum of blocked tensors over the images, as `shape`. */
function sumImages(w: BlockedWriter, name: string, images: number, shape: Shape): string {
  if (images === 1) return w.reshape(name, shape);
  const rows = w.reshape(name, [images, shape.reduce((p, m) => p * m, 1)]);
  return w.reshape(w.node('ReduceSum', [rows, w.writer.ints([0])], { keepdims: 0 }), shape);
}

/** Channel by channel: x of each image, filtered with the dy of that image, dilated by the stride; then summed over images. */
function depthwise(call: WeightCall): LastNode {
  const { w, facts, x, dy, gradient, attributes, weightShape } = call;
  const { stride, padding } = attributes;
  const [n, c, h, width] = w.blockedShape(x.shape);
  const [channels, , k] = weightShape as [number, number, number];
  const end = padsOf(call);
  const [below, right] = end.map((size) => Math.max(0, size)) as [number, number];
  const widened = facts.widened.get(x);
  const wide = widened !== undefined && widened.by === padding && right <= padding;
  const extra = wide ? 2 * padding : 0;
  const taps = w.convolution(
    w.reshape(wide ? widened.name : w.blocked(x), [1, n * c, h, width + extra]),
    w.reshape(gradient(), [n * c, 1, dy.shape[2]!, dy.shape[3]!]),
    {
      kernel: [dy.shape[2]!, dy.shape[3]!],
      dilation: stride,
      pads: wide ? [padding, 0, below, 0] : [padding, padding, below, right],
      groups: n * c,
    },
  );
  const tooMany = wide ? [end[0], end[1] - padding] : end;
  const cut = cutWindow(w, taps, tooMany, [n, c / w.block], k);
  const image = w.operator('ReorderOutput', [sumImages(w, cut, n, [1, c, k, k])], { channels });
  return (outputs) => w.reshape(image, weightShape, outputs);
}

/**
 * Of a 1x1 convolution: dw = sum over images and positions of dy x^T. The tensor with more channels is the filter as it
 * lies in memory, positions its input channels; the other one becomes an image of its channels, positions its channels.
 */
function pointwise({ w, x, dy, gradient, weightShape }: WeightCall): LastNode {
  const [n, , h, width] = x.shape as [number, number, number, number];
  const area = h * width;
  const swapped = x.shape[1]! > dy.shape[1]!;
  const [wide, narrow] = swapped ? [x, dy] : [dy, x];
  const [rows, columns] = [wide.shape[1]!, narrow.shape[1]!];
  const padded = w.padded(rows);
  const blocked = (value: Value): string => (value === dy ? gradient() : w.blocked(value));
  const last = (value: Value): string =>
    w.operator('ReorderOutput', [blocked(value)], { channels: value.shape[1]!, channels_last: 1 });

  // A group for each image spares a copy of the wide tensor, at the price of one result for each image.
  const groups = area % w.block === 0 && columns < area ? n : 1;
  const positions = (n / groups) * area;
  if (positions % w.block !== 0) {
    const matrix = (value: Value): string => w.reshape(last(value), [n * area, value.shape[1]!]);
    const product = w.node('Gemm', [matrix(dy), matrix(x)], { transA: 1 });
    return (outputs) => w.reshape(product, weightShape, outputs);
  }
  const image = w.operator('ReorderInput', [w.reshape(last(narrow), [groups, positions, columns, 1])]);
  const filters =
    groups === n
      ? blocked(wide)
      : w.node('Transpose', [w.reshape(blocked(wide), [n, padded / w.block, area * w.block])], {
          perm: [1, 0, 2],
        });
  const products = w.convolution(
    w.reshape(image, [1, groups * positions, columns, 1]),
    w.reshape(filters, [groups * padded, positions, 1, 1]),
    { kernel: [1, 1], groups },
  );
  const sum = sumImages(w, products, groups, [1, padded, columns, 1]);
  const matrix = w.operator('ReorderOutput', [sum], { channels: rows, channels_last: Number(swapped) });
  return (outputs) => w.reshape(matrix, weightShape, outputs);
}

/** Of a convolution of few input channels: they become the images, so x stays a plain image, its images the groups. */
function ofPlainImage(call: WeightCall): LastNode {
  const { w, x, dy, gradient, attributes, weightShape } = call;
  const { stride, padding } = attributes;
  const [n, o, yh, yw] = w.blockedShape(dy.shape);
  const [channels, i, k] = weightShape as [number, number, number];
  const end = padsOf(call);
  const images = w.node('Transpose', [w.plain(x)], { perm: [1, 0, 2, 3] });
  const taps = w.convolution(images, w.reshape(gradient(), [n * o, 1, yh, yw]), {
    kernel: [yh, yw],
    dilation: stride,
    pads: [padding, padding, Math.max(0, end[0]), Math.max(0, end[1])],
    groups: n,
  });
  const cut = cutWindow(w, taps, end, [i * n, o / w.block], k);
  const sum = w.node('ReduceSum', [w.reshape(cut, [i, n, o * k * k]), w.writer.ints([1])], { keepdims: 0 });
  const plain = w.operator('ReorderOutput', [w.reshape(sum, [i, o, k, k])], { channels });
  return (outputs) => w.node('Transpose', [plain], { perm: [1, 0, 2, 3] }, outputs);
}
