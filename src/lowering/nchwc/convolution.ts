/** Convolutions and their input gradients on blocked tensors. */
import type { Value } from '../../graph/graph.js';
import {
  convInputGradientOperation,
  convOperation,
  convWeightGradientOperation,
  type ConvAttributes,
} from '../../graph/operations/conv.js';
import type { Shape } from '../../util/tensor.js';
import type { BlockedWriter } from './blockedWriter.js';
import type { Fusion } from './operators.js';
import type { Facts } from './facts.js';
import { denseFilter, denseGradientFilter, depthwiseFilter, plainImageFilter, turned } from './filters.js';
import { imageMeans, sumOfImages } from './reductions.js';
import { blockedRule } from './rule.js';

export const isDepthwise = ({ groups }: ConvAttributes, [o, i]: Shape): boolean =>
  o === groups && i === 1 && groups > 1;

/** Whether a grouped convolution's groups are whole blocks on both sides. */
const wholeBlocks = (w: BlockedWriter, { groups }: ConvAttributes, [o, i]: Shape): boolean =>
  i! % w.block === 0 && (o! / groups) % w.block === 0;

/** Kernels from this size on gain more by rows without borders than the copy costs (measured at 5 and 7; 3 loses). */
const WIDENED_KERNEL = 5;

/** Whether a depthwise convolution of x and its weight gradient should read a copy with the padding written out. */
const worthWidening = (w: BlockedWriter, x: Value, kernel: number): boolean =>
  kernel >= WIDENED_KERNEL &&
  (w.users(x) ?? []).some(({ operation }) => operation.name === convWeightGradientOperation.name);

/** Zeros of the padding on both sides of every row of x: the kernels are slow at borders. */
function widen(w: BlockedWriter, facts: Facts, x: Value, by: number): string {
  const channels = x.shape[1]!;
  const name = w.convolution(w.blocked(x), w.ones(channels), {
    kernel: [1, 1],
    pads: [0, by, 0, by],
    groups: w.padded(channels),
  });
  facts.widened.set(x, { name, by });
  return name;
}

export const convRule = blockedRule(convOperation, ({ w, facts, node, attributes, inputs, outputs }) => {
  const [x, weight, bias] = inputs as readonly [Value, Value, Value | undefined];
  const shape = weight.shape as [number, number, number, number];
  const { stride, padding, groups } = attributes;
  const k = shape[2];
  const depthwise = isDepthwise(attributes, shape);
  if (!depthwise && groups > 1 && !wholeBlocks(w, attributes, shape)) return false;
  const direct = groups === 1 && shape[1] < w.block && !w.isBlocked(x);
  const wide = depthwise && worthWidening(w, x, k);

  const operands = (): { image: string; filter: string } => {
    const name = w.plain(weight);
    if (direct) return { image: w.plain(x), filter: plainImageFilter(w, name, shape) };
    const image = wide ? widen(w, facts, x, padding) : w.blocked(x);
    return { image, filter: depthwise ? depthwiseFilter(w, name, shape) : denseFilter(w, name, shape) };
  };
  const across = wide ? 0 : padding;
  const window = {
    kernel: [k, k],
    stride,
    pads: [padding, across, padding, across],
    groups: depthwise ? w.padded(groups) : groups,
  } as const;
  const emit = (fusion: Fusion): string => {
    const { image, filter } = operands();
    const offset = bias === undefined ? {} : { bias: w.padVector(w.plain(bias), shape[0]) };
    return w.convolution(image, filter, window, { ...fusion, ...offset });
  };
  // Means over the first image are estimates of the means: at most sqrt(N) deviations away, as that image is one of N.
  const emitNear = (): { name: string; minusEstimate: string } => {
    const { image, filter } = operands();
    const first = w.cut(image, 0, x.shape[0]!, 1);
    const means = imageMeans(w, w.convolution(first, filter, window));
    const minusEstimate = sumOfImages(w, means, [1, shape[0]], -1);
    return { name: w.convolution(image, filter, window, { bias: minusEstimate }), minusEstimate };
  };
  const estimable = bias === undefined && x.shape[0]! > 1;
  w.hold(outputs[0]!, node, { emit, fuses: true, ...(estimable ? { emitNear } : {}) });
  return true;
});

/**
 * The input gradient of a convolution is a convolution of dy, with zeros between its elements where the stride is
 * larger than 1, by the turned kernel, in and out swapped.
 */
export const convInputGradientRule = blockedRule(
  convInputGradientOperation,
  ({ w, facts, node, attributes, inputs, outputs }) => {
    const [dy, weight] = inputs as readonly [Value, Value];
    const { stride, padding, groups, inputShape } = attributes;
    const shape = weight.shape as [number, number, number, number];
    const k = shape[2];
    const depthwise = isDepthwise(attributes, shape);
    const before = k - 1 - padding;
    if ((groups > 1 && !depthwise) || before < 0) return false;
    // Size of the spread dy, and the padding at its end; negative where it has more zeros than x has rows.
    const spread = [2, 3].map((axis) => dy.shape[axis]! * stride);
    const end = [2, 3].map((axis, i) => inputShape[axis]! + k - 1 - before - spread[i]!);
    if (!end.every((n) => n >= 0)) return false;
    const emit = (fusion: Fusion): string => {
      const scaled = facts.scaled.get(dy);
      const name = w.plain(weight);
      const own = scaled === undefined ? name : scaleRows(w, name, scaled.factor, shape[0]);
      const filter = depthwise
        ? depthwiseFilter(w, turned(w, own), shape)
        : denseGradientFilter(w, own, shape);
      const dims = w.blockedShape(dy.shape);
      const gradient = scaled?.base ?? w.blocked(dy);
      // Zero columns come for free where zeros are put in anyway, and kernels are slow at borders.
      const columns = stride === 1 ? 0 : Math.floor(Math.min(before, end[1]!) / stride);
      const [left, right] = [before - columns * stride, end[1]! - columns * stride];
      return w.convolution(
        stride === 1 ? gradient : spreadOut(w, gradient, dims, stride, columns),
        filter,
        { kernel: [k, k], pads: [before, left, end[0]!, right], groups: depthwise ? dims[1] : 1 },
        fusion,
      );
    };
    w.hold(outputs[0]!, node, { emit, fuses: true });
    return true;
  },
);

/** Weights [O, I, k, k] times `factor` [padded O]. */
export function scaleRows(
  w: BlockedWriter,
  weights: string,
  factor: string,
  rows: number,
  outputs?: readonly string[],
): string {
  const column = w.reshape(w.cut(factor, 0, w.padded(rows), rows), [rows, 1, 1, 1]);
  return w.node('Mul', [weights, column], {}, outputs);
}

/**
 * Puts `stride - 1` zeros after each row and column, and around each row `columns` zeros before that: blocked
 * [N, C, H, W] -> [N, C, H * stride, (W + 2 * columns) * stride]. Convolving this takes fewer passes than interleaving the
 * results of a convolution for each phase; those win by a fifth for kernels of 7 and lose for smaller ones.
 */
function spreadOut(
  w: BlockedWriter,
  x: string,
  [n, c, h, width]: Shape,
  stride: number,
  columns: number,
): string {
  const planes = (n! * c!) / w.block;
  const before = [0, 0, 0, columns, 0];
  const after = [0, 0, stride - 1, columns, w.block * (stride - 1)];
  const apart = w.reshape(x, [planes, h!, 1, width!, w.block]);
  const spread = w.node('Pad', [apart, w.writer.ints([...before, ...after])]);
  return w.reshape(spread, [n!, c!, h! * stride, (width! + 2 * columns) * stride]);
}
