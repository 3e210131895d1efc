/**
 * How tensors of four axes lie in memory. Graphs have images as [N, C, H, W]; TensorFlow.js's convolutions and pools on a
 * CPU take [N, H, W, C] only, so images stay so from one operation to the next and are turned where a graph begins or ends.
 */
import type { Shape } from '../../util/tensor.js';
import { shape4, type TensorFlow, type TfTensor } from './tensorflow.js';

/** `plain`: as the graph says; `channelsLast`: the second of four axes last. */
export type Layout = 'plain' | 'channelsLast';

/** `wanted`, but for tensors of other than four axes, which have but one layout. */
export const layoutOf = (shape: Shape, wanted: Layout): Layout => (shape.length === 4 ? wanted : 'plain');

const ORDER = { plain: [0, 1, 2, 3], channelsLast: [0, 2, 3, 1] } as const;

/** A list with an entry for every axis of the graph's tensor, such as its shape, in the layout's order. */
export function perAxis<T>(list: readonly T[], layout: Layout): T[] {
  return layout === 'plain' ? [...list] : ORDER[layout].map((axis) => list[axis]!);
}

/** Where an axis of the graph's tensor is in the layout. */
export const axisIn = (axis: number, layout: Layout): number =>
  layout === 'plain' ? axis : ORDER[layout].findIndex((from) => from === axis);

/** A tensor of `shape` (the graph's), which lies the other way, as `layout`. */
export function relayout(tf: TensorFlow, x: TfTensor, shape: Shape, layout: Layout): TfTensor {
  const [, channels, height, width] = shape4(shape);
  // One channel, or one pixel: the elements are in the same order in both.
  if (channels === 1 || height * width === 1) return tf.reshape(x, perAxis(shape, layout));
  return tf.transpose(x, layout === 'channelsLast' ? [0, 2, 3, 1] : [0, 3, 1, 2]);
}
