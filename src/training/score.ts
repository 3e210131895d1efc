/** Top-1, top-5 and cross entropy from logits. */
import type { Tensor } from '../util/tensor.js';
import { scoreByClass, type ClassScore } from './classScore.js';

/** Fractions in [0, 1]; `loss` is the mean cross entropy without smoothing; `count` images. */
export interface Score {
  readonly top1: number;
  readonly top5: number;
  readonly loss: number;
  readonly count: number;
  /** Accuracies on the first shares of the images, ascending, where they were asked for. */
  readonly learningCurve?: readonly { readonly at: number; readonly top1: number }[];
  /** Class by class, where it was asked for. */
  readonly byClass?: ClassScore;
}

/**
 * Of the first `labels.length` rows of logits [N, classes]: how many classes are before the label's, and the cross entropy.
 * Among equal logits the lower class wins.
 */
function forEachRow(
  { shape, data }: Tensor,
  labels: Int32Array,
  tell: (better: number, loss: number, label: number, answer: number) => void,
): void {
  const classes = shape[1]!;
  labels.forEach((label, row) => {
    const logits = data.subarray(row * classes, (row + 1) * classes);
    const own = logits[label]!;
    let better = 0;
    let top = -Infinity;
    let answer = 0;
    for (let i = 0; i < classes; i++) {
      const v = logits[i]!;
      if (v > top) [top, answer] = [v, i];
      if (v > own || (v === own && i < label)) better++;
    }
    let total = 0;
    for (let i = 0; i < classes; i++) total += Math.exp(logits[i]! - top);
    tell(better, Math.log(total) + top - own, label, answer);
  });
}

/** Sums over the first `labels.length` rows of logits [N, classes]. */
export function countCorrect(logits: Tensor, labels: Int32Array): Pick<Score, 'top1' | 'top5' | 'loss'> {
  const sum = { top1: 0, top5: 0, loss: 0 };
  forEachRow(logits, labels, (better, loss) => {
    sum.top1 += Number(better < 1);
    sum.top5 += Number(better < 5);
    sum.loss += loss;
  });
  return sum;
}

/** Adds up batch by batch what it would be image by image: the bits do not depend on how images fall into batches. */
export class ScoreSum {
  private readonly hits: boolean[] = [];
  private readonly labels: number[] = [];
  private readonly answers: number[] = [];
  private classes = 0;
  private top5 = 0;
  private loss = 0;

  add(logits: Tensor, labels: Int32Array): void {
    this.classes = logits.shape[1]!;
    forEachRow(logits, labels, (better, loss, label, answer) => {
      this.hits.push(better < 1);
      this.labels.push(label);
      this.answers.push(answer);
      this.top5 += Number(better < 5);
      this.loss += loss;
    });
  }

  /** Undefined without images. `shares`, in (0, 1): of the images, rounded up, in the order in which they were added. */
  score(shares: readonly number[] = []): Score | undefined {
    const count = this.hits.length;
    if (count === 0) return undefined;
    const accuracy = (images: number): number =>
      this.hits.slice(0, images).reduce((sum, hit) => sum + Number(hit), 0) / images;
    const score = { top1: accuracy(count), top5: this.top5 / count, loss: this.loss / count, count };
    if (shares.length === 0) return score;
    return { ...score, learningCurve: shares.map((at) => ({ at, top1: accuracy(Math.ceil(at * count)) })) };
  }

  /** Class by class. */
  byClass(): ClassScore {
    return scoreByClass(this.labels, this.answers, this.classes);
  }
}
