import { describe, expect, it } from 'vitest';
import { countCorrect } from '../../src/training/score.js';
import { labelTargets, mixTargets, softLabels } from '../../src/training/targets.js';
import { createRandom } from '../../src/util/random.js';
import { tensor, type Tensor } from '../../src/util/tensor.js';
import '../support/matchers.js';

const random = createRandom('targets');
const logitsOf = (rows: number, classes: number): Tensor =>
  tensor(
    [rows, classes],
    Float32Array.from({ length: rows * classes }, () => 3 * random.normal()),
  );

/** Cross entropy from its definition, in float64. */
function crossEntropy(targets: Tensor, { shape, data }: Tensor): number {
  const [rows, classes] = shape as [number, number];
  let loss = 0;
  for (let row = 0; row < rows; row++) {
    let total = 0;
    for (let i = 0; i < classes; i++) total += Math.exp(data[row * classes + i]!);
    for (let i = 0; i < classes; i++) {
      loss -= targets.data[row * classes + i]! * Math.log(Math.exp(data[row * classes + i]!) / total);
    }
  }
  return loss / rows;
}

describe('labelTargets', () => {
  it('puts one on the label, or smooths', () => {
    expect([...labelTargets(Int32Array.of(2, 0), 4, 0).data]).toEqual([0, 0, 1, 0, 1, 0, 0, 0]);
    expect(labelTargets(Int32Array.of(1), 4, 0.1).data).toBeAllclose([0.025, 0.925, 0.025, 0.025]);
  });

  it.each([-1, 4])('refuses label %i of 4 classes', (label) => {
    expect(() => labelTargets(Int32Array.of(label), 4, 0)).toThrow(RangeError);
  });
});

describe('softLabels', () => {
  it('is the softmax of each row, also where logits are huge', () => {
    const { data } = softLabels(tensor([2, 2], Float32Array.of(0, Math.log(3), 1e4, 1e4 - 1)));
    expect(data).toBeAllclose([0.25, 0.75, 1 / (1 + Math.exp(-1)), 1 / (1 + Math.E)], { relative: 1e-6 });
  });
});

it('the loss of mixed targets is the weighted sum of the losses', () => {
  const student = logitsOf(5, 7);
  const hard = labelTargets(Int32Array.of(0, 6, 3, 3, 1), 7, 0.1);
  const soft = softLabels(logitsOf(5, 7));
  const sum = 0.5 * crossEntropy(hard, student) + 2 * crossEntropy(soft, student);
  expect(crossEntropy(mixTargets(0.5, hard, 2, soft), student)).toBeCloseTo(sum, 5);
});

describe('countCorrect', () => {
  it('agrees with sorting, and with cross entropy from its definition', () => {
    const logits = logitsOf(40, 9);
    const labels = Int32Array.from({ length: 40 }, () => random.int(9));
    let [top1, top5] = [0, 0];
    labels.forEach((label, row) => {
      const order = [...logits.data.slice(row * 9, row * 9 + 9).entries()].sort((a, b) => b[1] - a[1]);
      const rank = order.findIndex(([i]) => i === label);
      top1 += Number(rank === 0);
      top5 += Number(rank < 5);
    });
    const counted = countCorrect(logits, labels);
    expect([counted.top1, counted.top5]).toEqual([top1, top5]);
    expect(counted.loss / 40).toBeCloseTo(crossEntropy(labelTargets(labels, 9, 0), logits), 5);
  });

  it('lets the lower class win among equals, so that a network without opinion is not right everywhere', () => {
    const equal = tensor([3, 8]);
    expect(countCorrect(equal, Int32Array.of(0, 4, 7))).toMatchObject({ top1: 1, top5: 2 });
  });

  it('counts rows with labels only', () => {
    expect(countCorrect(tensor([3, 2], Float32Array.of(1, 0, 1, 0, 1, 0)), Int32Array.of(0)).top1).toBe(1);
  });
});
