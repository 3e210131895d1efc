import { describe, expect, it } from 'vitest';
import { evaluateLatency } from '../../src/latency/evaluate.js';
import { fitRidge } from '../../src/latency/ridge.js';
import { createRandom } from '../../src/util/random.js';

/** Gaussian elimination with pivoting. */
function solve(matrix: number[][], right: number[]): number[] {
  const n = right.length;
  const a = matrix.map((row, i) => [...row, right[i]!]);
  for (let i = 0; i < n; i++) {
    let pivot = i;
    for (let k = i; k < n; k++) if (Math.abs(a[k]![i]!) > Math.abs(a[pivot]![i]!)) pivot = k;
    [a[i], a[pivot]] = [a[pivot]!, a[i]!];
    for (let k = i + 1; k < n; k++) {
      const factor = a[k]![i]! / a[i]![i]!;
      for (let j = i; j <= n; j++) a[k]![j]! -= factor * a[i]![j]!;
    }
  }
  const x = new Array<number>(n).fill(0);
  for (let i = n - 1; i >= 0; i--) {
    let value = a[i]![n]!;
    for (let j = i + 1; j < n; j++) value -= a[i]![j]! * x[j]!;
    x[i] = value / a[i]![i]!;
  }
  return x;
}

/** Normal equations of [1, x] with penalty `penalty[j]` on coefficient j. */
function direct(rows: number[][], y: number[], w: number[], penalty: number[]): number[] {
  const design = rows.map((row) => [1, ...row]);
  const p = design[0]!.length;
  const gram = Array.from({ length: p }, (_, j) =>
    Array.from({ length: p }, (__, k) =>
      design.reduce((s, row, i) => s + w[i]! * row[j]! * row[k]!, j === k && j > 0 ? penalty[j - 1]! : 0),
    ),
  );
  return solve(
    gram,
    Array.from({ length: p }, (_, j) => design.reduce((s, row, i) => s + w[i]! * row[j]! * y[i]!, 0)),
  );
}

const random = createRandom('ridge test');
const rows = Array.from({ length: 25 }, () => [
  random.normal() * 3 + 7,
  random.normal(),
  random.float() * 100,
]);
const y = rows.map(([a, b, c]) => 4 + 2 * a! - b! + 0.01 * c! + 0.3 * random.normal());
const weights = rows.map(() => 0.2 + random.float());
const total = weights.reduce((s, v) => s + v, 0);
const variance = (j: number): number => {
  const mean = rows.reduce((s, row, i) => s + weights[i]! * row[j]!, 0) / total;
  return rows.reduce((s, row, i) => s + weights[i]! * (row[j]! - mean) ** 2, 0) / total;
};

describe('fitRidge', () => {
  it('solves the penalised normal equations', () => {
    for (const lambda of [1e-9, 0.05, 2]) {
      const fit = fitRidge(rows, y, weights, [lambda]);
      const wanted = direct(
        rows,
        y,
        weights,
        [0, 1, 2].map((j) => lambda * total * variance(j)),
      );
      expect(fit.intercept).toBeCloseTo(wanted[0]!, 6);
      fit.coefficients.forEach((value, j) => expect(value).toBeCloseTo(wanted[j + 1]!, 8));
    }
  });

  it('predicts each example as a fit without it does', () => {
    const lambda = 0.05;
    const penalty = [0, 1, 2].map((j) => lambda * total * variance(j));
    const { leftOut } = fitRidge(rows, y, weights, [lambda]);
    rows.forEach((row, i) => {
      const without = <T>(list: readonly T[]): T[] => list.filter((_, k) => k !== i);
      const c = direct(without(rows), without(y), without(weights), penalty);
      expect(leftOut[i]).toBeCloseTo(c[0]! + c[1]! * row[0]! + c[2]! * row[1]! + c[3]! * row[2]!, 6);
    });
  });

  it('solves the same where there are more features than examples', () => {
    const few = 8;
    const wide = Array.from({ length: few }, () => Array.from({ length: 20 }, () => random.normal()));
    const targets = wide.map((row) => row[0]! + random.normal());
    const w = wide.map(() => 0.2 + random.float());
    const sum = w.reduce((s, v) => s + v, 0);
    const penalty = Array.from({ length: 20 }, (_, j) => {
      const mean = wide.reduce((s, row, i) => s + w[i]! * row[j]!, 0) / sum;
      return 0.3 * wide.reduce((s, row, i) => s + w[i]! * (row[j]! - mean) ** 2, 0);
    });
    const fit = fitRidge(wide, targets, w, [0.3]);
    const wanted = direct(wide, targets, w, penalty);
    expect(fit.intercept).toBeCloseTo(wanted[0]!, 8);
    fit.coefficients.forEach((value, j) => expect(value).toBeCloseTo(wanted[j + 1]!, 8));
    wide.forEach((row, i) => {
      const without = <T>(list: readonly T[]): T[] => list.filter((_, k) => k !== i);
      const c = direct(without(wide), without(targets), without(w), penalty);
      expect(fit.leftOut[i]).toBeCloseTo(
        row.reduce((s, v, j) => s + v * c[j + 1]!, c[0]!),
        6,
      );
    });
  });

  it('takes the penalty with the least leave-one-out error', () => {
    const lambdas = [1e-6, 1e-3, 0.1, 10];
    const errors = lambdas.map((lambda) => fitRidge(rows, y, weights, [lambda]).looError);
    const fit = fitRidge(rows, y, weights, lambdas);
    expect(fit.looError).toBe(Math.min(...errors));
    expect(fit.lambda).toBe(lambdas[errors.indexOf(fit.looError)]);
  });

  it('ignores features that do not vary, and works without any', () => {
    const constant = fitRidge(
      rows.map(() => [0.1]),
      y,
      weights,
      [0.01],
    );
    expect(constant.coefficients).toEqual([0]);
    expect(constant.intercept).toBeCloseTo(
      fitRidge(
        rows.map(() => []),
        y,
        weights,
        [0.01],
      ).intercept,
      12,
    );
    expect(() => fitRidge([[1]], [1], [1], [1])).toThrow(RangeError);
  });
});

describe('evaluateLatency', () => {
  it('equals hand-made figures', () => {
    const errors = evaluateLatency([10.4, 21.6, 30, 44], [10, 20, 30, 40]);
    expect(errors).toMatchObject({
      count: 4,
      within5Percent: 50,
      within10Percent: 100,
      spearman: 1,
      kendallTau: 1,
    });
    expect(errors.mape).toBeCloseTo((4 + 8 + 0 + 10) / 4, 10);
    expect(errors.biasPercent).toBeCloseTo(5.5, 10);
    expect(errors.rmseMs).toBeCloseTo(Math.sqrt((0.16 + 2.56 + 0 + 16) / 4), 10);
    expect(evaluateLatency([1, 1], [1, 2]).kendallTau).toBeNull();
    expect(errors.coveredPercent).toBeNull();
    const intervals = [[9, 10.5], [20.1, 23], null, [39, 40]] as const;
    expect(evaluateLatency([10.4, 21.6, 30, 44], [10, 20, 30, 40], intervals).coveredPercent).toBeCloseTo(
      200 / 3,
      10,
    );
    expect(() => evaluateLatency([], [])).toThrow(RangeError);
  });
});
