import { describe, expect, it } from 'vitest';
import { backward, forward, mlp } from '../../../src/latency/learners/mlp.js';
import { createRandom } from '../../../src/util/random.js';

describe('mlp', () => {
  it('has the gradient that differences of its output have', () => {
    const layout = { inputs: 3, hidden: 4 };
    const random = createRandom('mlp gradient');
    const weights = Float64Array.from({ length: 4 * 5 + 1 }, () => random.normal());
    const row = [0.3, -1.2, 0.7];
    const activations = new Float64Array(4);
    forward(weights, layout, row, activations);
    const gradient = new Float64Array(weights.length);
    backward(weights, layout, row, activations, 1, gradient);
    weights.forEach((_, w) => {
      const moved = (step: number): number => {
        const copy = weights.slice();
        copy[w]! += step;
        return forward(copy, layout, row, new Float64Array(4));
      };
      expect(gradient[w]).toBeCloseTo((moved(1e-5) - moved(-1e-5)) / 2e-5, 7);
    });
  });

  it('learns a product, which no linear rule can', () => {
    const random = createRandom('mlp data');
    const rows = Array.from({ length: 300 }, () => [random.normal(), 5 + 2 * random.normal(), 1]);
    const targets = rows.map(([a, b]) => 3 + 0.1 * a! * (b! - 5));
    const learner = mlp({ hidden: 12, steps: 1500, batch: 48, learningRate: 0.01, decay: 1e-4 });
    const state = learner.fit(rows.slice(0, 200), targets.slice(0, 200));
    const variance = (values: number[]): number => values.reduce((s, v) => s + v * v, 0) / values.length;
    const left = rows.slice(200).map((row, i) => learner.predict(state, row) - targets[200 + i]!);
    expect(variance(left)).toBeLessThan(0.15 * variance(targets.slice(200).map((t) => t - 3)));
    expect(learner.fit(rows.slice(0, 200), targets.slice(0, 200))).toEqual(state);
  });

  it('says the mean where targets are all equal', () => {
    const learner = mlp({ hidden: 2, steps: 10, batch: 4, learningRate: 0.1, decay: 0 });
    const state = learner.fit([[1], [2], [3]], [7, 7, 7]);
    expect(learner.predict(state, [100])).toBe(7);
  });
});
