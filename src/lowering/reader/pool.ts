/** Reading rules of pools over windows. */
import { averagePool } from '../../graph/operations/averagePool.js';
import { maxPool } from '../../graph/operations/maxPool.js';
import { overhang, type PoolAttributes } from '../../graph/operations/window.js';
import { formatShape } from '../../util/tensor.js';
import type { ReadingCall, ReadingRule } from './call.js';
import { requireNoAutoPad, uniform } from './convolution.js';

const WINDOW = ['kernel_shape', 'strides', 'pads', 'dilations', 'auto_pad', 'ceil_mode'];

/** Windows that lie on the image, whatever padding brought them there. */
function window(call: ReadingCall): PoolAttributes {
  requireNoAutoPad(call);
  if (uniform(call, 'dilations', 2, 1) !== 1) throw call.fail('dilations must be 1');
  const { shape } = call.value(0);
  if (shape.length !== 4) throw call.fail(`an image [N, C, H, W] is wanted: it is ${formatShape(shape)}`);
  const kernel = uniform(call, 'kernel_shape', 2, 0);
  const stride = uniform(call, 'strides', 2, 1);
  const pads = call.intsAttribute('pads') ?? [0, 0, 0, 0];
  const [padding, left, ...ends] = pads as [number, number, ...number[]];
  if (pads.length !== 4 || padding !== left || !pads.every((n) => n >= 0 && n < kernel) || stride < 1)
    throw call.fail('pads must be 4 numbers below the kernel, those before equal, and strides positive');
  const round = call.int('ceil_mode', 0) === 0 ? Math.floor : Math.ceil;
  const count = (axis: 0 | 1): number =>
    round((shape[axis + 2]! + padding + ends[axis]! - kernel) / stride) + 1;
  const windows = [count(0), count(1)] as const;
  // A window beside the image has nothing in it, and runtimes do not agree on what it gives.
  const inside = windows.every((n, i) => n > 0 && (n - 1) * stride < shape[i + 2]! + padding);
  if (!inside) throw call.fail(`every window must cover a part of the image ${formatShape(shape)}`);
  return { kernel, stride, padding, windows };
}

const maxPoolRule: ReadingRule = {
  attributes: [...WINDOW, 'storage_order'],
  inputs: [1, 1],
  read: (call) => ({ value: maxPool(call.b, call.value(0), window(call)) }),
};

const averagePoolRule: ReadingRule = {
  attributes: [...WINDOW, 'count_include_pad'],
  inputs: [1, 1],
  read: (call) => {
    const attributes = window(call);
    const x = call.value(0);
    const within =
      attributes.padding === 0 &&
      ([0, 1] as const).every((i) => overhang(attributes, i, x.shape[i + 2]!) <= 0);
    if (!within) call.require('count_include_pad', 0);
    return { value: averagePool(call.b, x, attributes) };
  },
};

export const poolRules: Readonly<Record<string, ReadingRule>> = {
  MaxPool: maxPoolRule,
  AveragePool: averagePoolRule,
};
