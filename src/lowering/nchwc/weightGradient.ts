/**
 * Weight gradients: convolutions whose filter is a tensor of activations as it lies in memory. Images become groups,
 * because [N, C / B, H, W, B] is at once one image of N * C channels and N * C filters of one channel each.
 */
import { convWeightGradientOperation, type ConvAttributes } from '../../graph/operations/conv.js';
import type { Value } from '../../graph/graph.js';
import type { Shape } from '../../util/tensor.js';
import type { BlockedWriter } from './blockedWriter.js';
import { isDepthwise } from './convolution.js';
import { blockedRule } from './rule.js';

export const convWeightGradientRule = blockedRule(
  convWeightGradientOperation,
  ({ w, attributes, inputs, outputs }) => {
    const [x, dy] = inputs as readonly [Value, Value];
    const { weightShape, stride, padding, groups } = attributes;
    const [n, channels] = x.shape as [number, number];
    const pointwise = weightShape[2] === 1 && stride === 1 && padding === 0 && groups === 1;
    if (isDepthwise(attributes, weightShape)) depthwise(w, x, dy, attributes, weightShape, outputs[0]!);
    else if (pointwise) dense(w, x, dy, outputs[0]!);
    else if (groups === 1 && channels < w.block && (n < w.block || n % w.block === 0))
      ofPlainImage(w, x, dy, attributes, weightShape, outputs[0]!);
    else return false;
    return true;
  },
);

/** Zeros after the last row and column that a window reaches; negative where some rows are reached by no window. */
function padsOf(x: Value, dy: Value, { stride, padding }: ConvAttributes, k: number): [number, number] {
  const end = (axis: number): number => (dy.shape[axis]! - 1) * stride + k - padding - x.shape[axis]!;
  return [end(2), end(3)];
}

/** A result of more than k rows and columns, blocked [C, padded], cut to k. */
function cutWindow(w: BlockedWriter, name: string, end: readonly number[], lead: Shape, k: number): string {
  const size = end.map((n) => k + Math.max(0, -n));
  if (size.every((s) => s === k)) return name;
  const images = w.reshape(name, [...lead, size[0]!, size[1]!, w.block]);
  const rows = w.cut(images, lead.length, size[0]!, k);
  return w.cut(rows, lead.length + 1, size[1]!, k);
}

/** Channel by channel: x of each image, filtered with the dy of that image, dilated by the stride; then summed over images. */
function depthwise(
  w: BlockedWriter,
  x: Value,
  dy: Value,
  attributes: ConvAttributes,
  weightShape: Shape,
  dw: Value,
): void {
  const { stride, padding } = attributes;
  const [n, c, h, width] = w.blockedShape(x.shape);
  const [, , yh, yw] = w.blockedShape(dy.shape);
  const [channels, , k] = weightShape as [number, number, number];
  const end = padsOf(x, dy, attributes, k);
  const taps = w.convolution(
    w.reshape(w.blocked(x), [1, n * c, h, width]),
    w.reshape(w.blocked(dy), [n * c, 1, yh, yw]),
    {
      kernel: [yh, yw],
      dilation: stride,
      pads: [padding, padding, Math.max(0, end[0]), Math.max(0, end[1])],
      groups: n * c,
    },
  );
  const cut = cutWindow(w, taps, end, [n, c / w.block], k);
  const sum = sumImages(w, cut, n, [1, c, k, k]);
  const image = w.operator('ReorderOutput', [sum], { channels });
  w.reshape(image, weightShape, w.plainOutput(dw));
}

/** Sum of blocked tensors over the images, as `shape`. */
function sumImages(w: BlockedWriter, name: string, images: number, shape: Shape): string {
  if (images === 1) return w.reshape(name, shape);
  const rows = w.reshape(name, [images, shape.reduce((p, m) => p * m, 1)]);
  return w.reshape(w.node('ReduceSum', [rows, w.writer.ints([0])], { keepdims: 0 }), shape);
}

/**
 * Of a 1x1 convolution: dw = sum over images and positions of dy x^T. The tensor with more channels is the filter as it
 * lies in memory, positions its input channels; the other one becomes an image of its channels, positions its channels.
 */
function dense(w: BlockedWriter, x: Value, dy: Value, dw: Value): void {
  const [n, , h, width] = x.shape as [number, number, number, number];
  const area = h * width;
  const swapped = x.shape[1]! > dy.shape[1]!;
  const [wide, narrow] = swapped ? [x, dy] : [dy, x];
  const [rows, columns] = [wide.shape[1]!, narrow.shape[1]!];
  const padded = w.padded(rows);
  const last = (value: Value): string =>
    w.operator('ReorderOutput', [w.blocked(value)], { channels: value.shape[1]!, channels_last: 1 });

  // A group for each image spares a copy of the wide tensor, at the price of one result for each image.
  const groups = area % w.block === 0 && columns < area ? n : 1;
  const positions = (n / groups) * area;
  if (positions % w.block !== 0) {
    const matrix = (value: Value): string => w.reshape(last(value), [n * area, value.shape[1]!]);
    const product = w.node('Gemm', [matrix(dy), matrix(x)], { transA: 1 });
    w.reshape(product, dw.shape, w.plainOutput(dw));
    return;
  }
  const image = w.operator('ReorderInput', [w.reshape(last(narrow), [groups, positions, columns, 1])]);
  const filters =
    groups === n
      ? w.blocked(wide)
      : w.node('Transpose', [w.reshape(w.blocked(wide), [n, padded / w.block, area * w.block])], {
          perm: [1, 0, 2],
        });
  const products = w.convolution(
    w.reshape(image, [1, groups * positions, columns, 1]),
    w.reshape(filters, [groups * padded, positions, 1, 1]),
    { kernel: [1, 1], groups },
  );
  const sum = sumImages(w, products, groups, [1, padded, columns, 1]);
  const matrix = w.operator('ReorderOutput', [sum], { channels: rows, channels_last: Number(swapped) });
  w.reshape(matrix, dw.shape, w.plainOutput(dw));
}

/** Of a convolution of few input channels: they become the images, so x stays a plain image, its images the groups. */
function ofPlainImage(
  w: BlockedWriter,
  x: Value,
  dy: Value,
  attributes: ConvAttributes,
  weightShape: Shape,
  dw: Value,
): void {
  const { stride, padding } = attributes;
  const [n, o, yh, yw] = w.blockedShape(dy.shape);
  const [channels, i, k] = weightShape as [number, number, number];
  const end = padsOf(x, dy, attributes, k);
  const images = w.node('Transpose', [w.plain(x)], { perm: [1, 0, 2, 3] });
  const taps = w.convolution(images, w.reshape(w.blocked(dy), [n * o, 1, yh, yw]), {
    kernel: [yh, yw],
    dilation: stride,
    pads: [padding, padding, Math.max(0, end[0]), Math.max(0, end[1])],
    groups: n,
  });
  const cut = cutWindow(w, taps, end, [i * n, o / w.block], k);
  const perImage = w.reshape(cut, [i, n, o * k * k]);
  const sum = w.node('ReduceSum', [perImage, w.writer.ints([1])], { keepdims: 0 });
  const plain = w.operator('ReorderOutput', [w.reshape(sum, [i, o, k, k])], { channels });
  w.node('Transpose', [plain], { perm: [1, 0, 2, 3] }, w.plainOutput(dw));
}
