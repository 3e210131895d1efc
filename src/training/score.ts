/** Top-1, top-5 and cross entropy from logits. */
import type { Tensor } from '../util/tensor.js';

/** Fractions in [0, 1]; `loss` is the mean cross entropy without smoothing; `count` images. */
export interface Score {
  readonly top1: number;
  readonly top5: number;
  readonly loss: number;
  readonly count: number;
  /** Accuracies on the first shares of the images, ascending, where they were asked for. */
  readonly learningCurve?: readonly { readonly at: number; readonly top1: number }[];
}

/** Sums over the first `labels.length` rows of logits [N, classes]. Among equal logits the lower class wins. */
export function countCorrect(
  { shape, data }: Tensor,
  labels: Int32Array,
): Omit<Score, 'count' | 'learningCurve'> {
  const classes = shape[1]!;
  const sum = { top1: 0, top5: 0, loss: 0 };
  labels.forEach((label, row) => {
    const logits = data.subarray(row * classes, (row + 1) * classes);
    const own = logits[label]!;
    let better = 0;
    let top = -Infinity;
    for (let i = 0; i < classes; i++) {
      const v = logits[i]!;
      top = Math.max(top, v);
      if (v > own || (v === own && i < label)) better++;
    }
    let total = 0;
    for (let i = 0; i < classes; i++) total += Math.exp(logits[i]! - top);
    sum.top1 += Number(better < 1);
    sum.top5 += Number(better < 5);
    sum.loss += Math.log(total) + top - own;
  });
  return sum;
}
