/**
 * Weights in the layouts that blocked convolutions read. B is the block size, O and I are padded to whole blocks:
 * depthwise [C, 1, k, k] -> [C / B, k, k, B]; dense [O, I, k, k] -> [O / B, I / B, k, k, B (in), B (out)]; dense on a plain
 * image of fewer than B channels -> [O / B, I, k, k, B (out)].
 */
import type { Shape } from '../../util/tensor.js';
import type { BlockedWriter } from './blockedWriter.js';

/** A matrix [rows, columns] as [rows / B, columns, B]: what depthwise and pointwise filters and plain images need. */
function blockRows(w: BlockedWriter, name: string, rows: number, columns: number): string {
  return w.reorder(w.reshape(name, [1, rows, columns, 1]), [1, rows, columns, 1]);
}

/** Weights [C, 1, k, k] of a depthwise convolution. */
export function depthwiseFilter(w: BlockedWriter, name: string, [c, , k]: Shape): string {
  return w.reshape(blockRows(w, name, c!, k! * k!), [w.padded(c!), 1, k!, k!]);
}

/** Weights [O, I, k, k] for a plain image [N, I, H, W] with I smaller than a block. */
export function plainImageFilter(w: BlockedWriter, name: string, [o, i, k]: Shape): string {
  return w.reshape(blockRows(w, name, o!, i! * k! * k!), [w.padded(o!), i!, k!, k!]);
}

/** Weights [O, I, k, k] of a dense convolution, or of one whose groups are whole blocks. */
export function denseFilter(w: BlockedWriter, name: string, shape: Shape): string {
  const [o, i, k] = shape as [number, number, number];
  const [op, ip, b] = [w.padded(o), w.padded(i), w.block];
  const padded = w.pad(name, shape, [o % 4 === 0 ? o : op, ip, k, k]);
  if (k === 1) return w.reshape(blockRows(w, padded, o % 4 === 0 ? o : op, ip), [op, ip, 1, 1]);
  const split = w.reshape(w.pad(padded, [o % 4 === 0 ? o : op, ip, k, k], [op, ip, k, k]), [
    op / b,
    b,
    ip / b,
    b,
    k * k,
  ]);
  return w.reshape(w.node('Transpose', [split], { perm: [0, 2, 4, 3, 1] }), [op, ip, k, k]);
}

/** The filter of the input gradient of a dense convolution: in and out swapped, turned by 180 degrees. */
export function denseGradientFilter(w: BlockedWriter, name: string, shape: Shape): string {
  const [o, i, k] = shape as [number, number, number];
  if (k > 1) {
    const swapped = w.node('Transpose', [turned(w, name)], { perm: [1, 0, 2, 3] });
    return denseFilter(w, swapped, [i, o, k, k]);
  }
  const [op, ip] = [w.padded(o), w.padded(i)];
  const columns = i % 4 === 0 ? i : ip;
  const rows = w.reshape(w.pad(name, shape, [op, columns, 1, 1]), [1, op, 1, columns]);
  return w.reshape(w.operator('ReorderInput', [rows], { channels_last: 1 }), [ip, op, 1, 1]);
}

/** Reverses the last two axes. */
export function turned({ writer }: BlockedWriter, name: string): string {
  const end = Number.MIN_SAFE_INTEGER;
  return writer.node('Slice', [
    name,
    writer.ints([-1, -1]),
    writer.ints([end, end]),
    writer.ints([2, 3]),
    writer.ints([-1, -1]),
  ]);
}
