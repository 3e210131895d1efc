import fc from 'fast-check';
import { expect, it } from 'vitest';
import { scoreByClass } from '../../src/training/classScore.js';
import { ScoreSum } from '../../src/training/score.js';
import { tensor } from '../../src/util/tensor.js';

it('scoreByClass counts every image once', () => {
  const images = fc.integer({ min: 1, max: 9 }).chain((classes) => {
    const label = fc.nat(classes - 1);
    return fc.record({
      classes: fc.constant(classes),
      pairs: fc.array(fc.tuple(label, label), { maxLength: 60 }),
    });
  });
  fc.assert(
    fc.property(images, ({ classes, pairs }) => {
      const labels = pairs.map(([label]) => label);
      const { count, correct, confused } = scoreByClass(
        labels,
        pairs.map(([, answer]) => answer),
        classes,
      );
      count.forEach((own, label) => {
        const wrong = confused.filter(([of]) => of === label).reduce((sum, [, , times]) => sum + times, 0);
        expect(own).toBe(labels.filter((one) => one === label).length);
        expect(correct[label]! + wrong).toBe(own);
      });
      for (const [label, answer, times] of confused) {
        expect(answer).not.toBe(label);
        expect(times).toBe(pairs.filter(([a, b]) => a === label && b === answer).length);
      }
    }),
  );
});

it('ScoreSum takes the class of the greatest logit, the lower one of equals, as top-1 does', () => {
  const sum = new ScoreSum();
  sum.add(tensor([3, 3], Float32Array.of(0, 2, 1, 5, 5, 0, 1, 1, 7)), Int32Array.of(1, 1, 0));
  expect(sum.byClass()).toEqual({
    count: [1, 2, 0],
    correct: [0, 1, 0],
    confused: [
      [0, 2, 1],
      [1, 0, 1],
    ],
  });
  expect(sum.score()!.top1).toBeCloseTo(1 / 3, 12);
});
