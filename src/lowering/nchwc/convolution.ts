/** Convolutions and their input gradients on blocked tensors. */
import {
  convInputGradientOperation,
  convOperation,
  type ConvAttributes,
} from '../../graph/operations/conv.js';
import type { Shape } from '../../util/tensor.js';
import type { BlockedWriter, Fusion } from './blockedWriter.js';
import { denseFilter, denseGradientFilter, depthwiseFilter, plainImageFilter, turned } from './filters.js';
import { blockedRule } from './rule.js';

export const isDepthwise = ({ groups }: ConvAttributes, [o, i]: Shape): boolean =>
  o === groups && i === 1 && groups > 1;

/** Whether a grouped convolution's groups are whole blocks on both sides. */
const wholeBlocks = (w: BlockedWriter, { groups }: ConvAttributes, [o, i]: Shape): boolean =>
  i! % w.block === 0 && (o! / groups) % w.block === 0;

export const convRule = blockedRule(convOperation, ({ w, node, attributes, inputs, outputs }) => {
  const [x, weight, bias] = inputs;
  const shape = weight!.shape as [number, number, number, number];
  const { stride, padding, groups } = attributes;
  const k = shape[2];
  const depthwise = isDepthwise(attributes, shape);
  if (!depthwise && groups > 1 && !wholeBlocks(w, attributes, shape)) return false;
  const direct = groups === 1 && shape[1] < w.block && !w.isBlocked(x!);
  const write = (fusion: Fusion): string => {
    const name = w.plain(weight!);
    let filter: string;
    if (depthwise) filter = depthwiseFilter(w, name, shape);
    else if (direct) filter = plainImageFilter(w, name, shape);
    else filter = denseFilter(w, name, shape);
    return w.convolution(
      direct ? w.plain(x!) : w.blocked(x!),
      filter,
      {
        kernel: [k, k],
        stride,
        pads: [padding, padding, padding, padding],
        groups: depthwise ? w.padded(groups) : groups,
      },
      { ...fusion, ...(bias === undefined ? {} : { bias: w.padVector(w.plain(bias), shape[0]) }) },
    );
  };
  w.hold(outputs[0]!, node, { emit: write, fuses: true });
  return true;
});

/**
 * The input gradient of a convolution is a convolution of dy, with zeros between its elements where the stride is
 * larger than 1, by the turned kernel, in and out swapped.
 */
export const convInputGradientRule = blockedRule(
  convInputGradientOperation,
  ({ w, node, attributes, inputs, outputs }) => {
    const [dy, weight] = inputs;
    const { stride, padding, groups, inputShape } = attributes;
    const shape = weight!.shape as [number, number, number, number];
    const k = shape[2];
    const depthwise = isDepthwise(attributes, shape);
    const before = k - 1 - padding;
    if ((groups > 1 && !depthwise) || before < 0) return false;
    // Size of the spread dy, and the padding at its end; negative where it has more zeros than x has rows.
    const spread = [2, 3].map((axis) => dy!.shape[axis]! * stride);
    const end = [2, 3].map((axis, i) => inputShape[axis]! + k - 1 - before - spread[i]!);
    if (!end.every((n) => n >= 0)) return false;
    const write = (fusion: Fusion): string => {
      const name = w.plain(weight!);
      const filter = depthwise
        ? depthwiseFilter(w, turned(w, name), shape)
        : denseGradientFilter(w, name, shape);
      const dims = w.blockedShape(dy!.shape);
      return w.convolution(
        stride === 1 ? w.blocked(dy!) : spreadOut(w, w.blocked(dy!), dims, stride),
        filter,
        { kernel: [k, k], pads: [before, before, end[0]!, end[1]!], groups: depthwise ? dims[1] : 1 },
        fusion,
      );
    };
    w.hold(outputs[0]!, node, { emit: write, fuses: true });
    return true;
  },
);

/** Puts `stride - 1` zeros after each row and column: blocked [N, C, H, W] -> [N, C, H * stride, W * stride]. */
function spreadOut(w: BlockedWriter, x: string, [n, c, h, width]: Shape, stride: number): string {
  const b = w.block;
  const from = [(n! * c!) / b, h!, 1, width!, b];
  const wide = w.pad(w.reshape(x, from), from, [from[0]!, h!, stride, width!, b * stride]);
  return w.reshape(wide, [n!, c!, h! * stride, width! * stride]);
}
