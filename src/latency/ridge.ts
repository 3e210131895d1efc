/** Weighted ridge regression, for a handful of features or for hundreds, with exact leave-one-out predictions. */
import { cholesky, choleskySolve, quadraticForm, symmetric } from '../util/cholesky.js';

export interface RidgeFit {
  readonly intercept: number;
  /** In the features' own units. */
  readonly coefficients: readonly number[];
  readonly lambda: number;
  /** What the model predicts for each row when fitted without that row (same `lambda`, same scaling). */
  readonly leftOut: readonly number[];
  /** Weighted mean square of the left-out errors. */
  readonly looError: number;
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** The penalised solution for rows and targets that weights were multiplied into. */
interface Solution {
  readonly coefficients: Float64Array;
  /** Diagonal of the hat matrix, by row. */
  leverage(i: number): number;
}

/** (X^T X + penalty)^-1 X^T y: as many unknowns as features. */
function solvePrimal(rows: readonly Float64Array[], y: Float64Array, features: number) {
  const columns = Array.from({ length: features }, (_, j) => Float64Array.from(rows, (row) => row[j]!));
  const gram = symmetric(features, (j, k) => dot(columns[j]!, columns[k]!));
  const moment = columns.map((column) => dot(column, y));
  return (penalty: number): Solution => {
    const values = gram.slice();
    for (let j = 0; j < features; j++) values[j * features + j]! += penalty;
    const factor = cholesky(values, features);
    return {
      coefficients: choleskySolve(factor, moment),
      leverage: (i) => quadraticForm(factor, rows[i]!),
    };
  };
}

/** X^T (X X^T + penalty)^-1 y: the same, as many unknowns as rows. */
function solveDual(rows: readonly Float64Array[], y: Float64Array, features: number) {
  const n = rows.length;
  const gram = symmetric(n, (i, k) => dot(rows[i]!, rows[k]!));
  return (penalty: number): Solution => {
    const values = gram.slice();
    for (let i = 0; i < n; i++) values[i * n + i]! += penalty;
    const factor = cholesky(values, n);
    const dual = choleskySolve(factor, y);
    const coefficients = new Float64Array(features);
    rows.forEach((row, i) => {
      for (let j = 0; j < features; j++) coefficients[j]! += row[j]! * dual[i]!;
    });
    return {
      coefficients,
      leverage: (i) => {
        const unit = new Float64Array(n);
        unit[i] = 1;
        return 1 - penalty * quadraticForm(factor, unit);
      },
    };
  };
}

/**
 * Minimises sum w (y - intercept - x . c)^2 + lambda sum(w) |scaled c|^2, the intercept free, features scaled to
 * weighted variance 1; for the `lambda` of the list with the least leave-one-out error. Left-out predictions by the hat
 * matrix: e / (1 - h), exact for a linear smoother (Hastie, Tibshirani, Friedman, Elements of Statistical Learning,
 * 7.10). `rows`: one list of features per example; may be of length 0. Throws RangeError for fewer than two examples.
 */
export function fitRidge(
  rows: readonly (readonly number[])[],
  targets: readonly number[],
  weights: readonly number[],
  lambdas: readonly number[],
): RidgeFit {
  const n = rows.length;
  if (n < 2 || lambdas.length === 0) {
    throw new RangeError(
      `Cannot fit a regression: it needs 2 examples and a penalty: there are ${n} examples`,
    );
  }
  const total = weights.reduce((sum, w) => sum + w, 0);
  const average = (values: ArrayLike<number>): number => dot(values, weights) / total;
  const p = rows[0]!.length;
  const means: number[] = [];
  const scales: number[] = [];
  for (let j = 0; j < p; j++) {
    const column = rows.map((row) => row[j]!);
    const mean = average(column);
    const deviation = Math.sqrt(average(column.map((value) => (value - mean) ** 2)));
    means.push(mean);
    // A constant feature says nothing: it becomes 0, not the rounding noise of its mean.
    scales.push(deviation > 1e-9 * Math.abs(mean) ? deviation : Number.POSITIVE_INFINITY);
  }
  const centre = average(targets);
  const roots = weights.map(Math.sqrt);
  const x = rows.map((row, i) =>
    Float64Array.from(row, (value, j) => (roots[i]! * (value - means[j]!)) / scales[j]!),
  );
  const y = Float64Array.from(targets, (target, i) => roots[i]! * (target - centre));
  const solve = p <= n ? solvePrimal(x, y, p) : solveDual(x, y, p);

  let best: RidgeFit | undefined;
  for (const lambda of lambdas) {
    const solution = solve(lambda * total);
    const leftOut = targets.map((target, i) => {
      const residual = (y[i]! - dot(x[i]!, solution.coefficients)) / roots[i]!;
      const leverage = weights[i]! / total + solution.leverage(i);
      return target - residual / Math.max(1 - leverage, 1e-9);
    });
    const looError = average(leftOut.map((value, i) => (value - targets[i]!) ** 2));
    if (best !== undefined && looError >= best.looError) continue;
    const coefficients = Array.from(solution.coefficients, (value, j) => value / scales[j]!);
    best = { intercept: centre - dot(coefficients, means), coefficients, lambda, leftOut, looError };
  }
  return best!;
}
