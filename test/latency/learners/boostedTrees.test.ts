import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boostedTrees } from '../../../src/latency/learners/boostedTrees.js';

const range = (from: number, to: number): number[] =>
  Array.from({ length: 6 }, (_, i) => from + ((to - from) * i) / 5);
const rows = Array.from({ length: 40 }, (_, i) => [
  3 * Math.sin(1.7 * i),
  ((i * 7) % 11) + 0.5 * (i % 3),
  Math.cos(0.9 * i * i),
]);
const targets = rows.map(([a, b, c], i) => 2 * a! + (b! > 5 ? 3 : -1) + c! ** 2 + 0.3 * Math.sin(5 * i));
const questions = range(-3, 3).map((a, i) => [a, range(0, 11)[i]!, range(1, -1)[i]!]);

describe('boostedTrees', () => {
  it("predicts what scikit-learn's GradientBoostingRegressor does", () => {
    // scikit-learn 1.9.1: n_estimators=25, learning_rate=0.2, max_depth=3, min_samples_leaf=5; the same for
    // eight values of random_state, so no two splits are equally good here.
    const learner = boostedTrees({ trees: 25, learningRate: 0.2, depth: 3, minLeaf: 5 });
    const state = learner.fit(rows, targets);
    const theirs = [
      -5.239478709671626, -2.846879393699084, -1.945357539220067, 3.8086851542371156, 7.03933301718865,
      8.976095360761198,
    ];
    questions.forEach((row, i) => expect(learner.predict(state, row)).toBeCloseTo(theirs[i]!, 9));
    const squares = rows.map((row, i) => (learner.predict(state, row) - targets[i]!) ** 2);
    expect(squares.reduce((sum, v) => sum + v, 0) / 40).toBeCloseTo(0.09443531341971098, 10);
  });

  it('grows one tree as scikit-learn does', () => {
    const learner = boostedTrees({ trees: 1, learningRate: 1, depth: 2, minLeaf: 1 });
    const state = learner.fit(rows, targets);
    const theirs = [
      -3.695294562474408, -0.6978733099697954, -0.6978733099697954, 4.732919005866831, 4.732919005866831,
      8.533129697946805,
    ];
    questions.forEach((row, i) => expect(learner.predict(state, row)).toBeCloseTo(theirs[i]!, 10));
  });

  it('splits where brute force does', () => {
    const stump = boostedTrees({ trees: 1, learningRate: 1, depth: 1, minLeaf: 2 });
    const value = fc.integer({ min: -4, max: 4 });
    const example = fc.tuple(value, value, value);
    fc.assert(
      fc.property(fc.array(example, { minLength: 4, maxLength: 12 }), (list) => {
        const x = list.map(([a, b]) => [a, b]);
        const y = list.map(([, , target]) => target);
        const mean = (values: number[]): number => values.reduce((s, v) => s + v, 0) / values.length;
        const error = (values: number[]): number => values.reduce((s, v) => s + (v - mean(values)) ** 2, 0);
        let least = error(y);
        for (const feature of [0, 1]) {
          for (const threshold of x.map((row) => row[feature]!)) {
            const left = y.filter((_, i) => x[i]![feature]! <= threshold);
            const right = y.filter((_, i) => x[i]![feature]! > threshold);
            if (left.length >= 2 && right.length >= 2) least = Math.min(least, error(left) + error(right));
          }
        }
        const state = stump.fit(x, y);
        const reached = x.reduce((s, row, i) => s + (stump.predict(state, row) - y[i]!) ** 2, 0);
        expect(reached).toBeCloseTo(least, 8);
      }),
    );
  });

  it('refuses trees that would not end', () => {
    const { schema } = boostedTrees({ trees: 1, learningRate: 1, depth: 1, minLeaf: 1 });
    const loop = { start: 0, trees: [[{ feature: 0, value: 1, left: 0 }]] };
    expect(schema.safeParse(loop).success).toBe(false);
  });
});
