/** Weighted ridge regression for a handful of features, with exact leave-one-out predictions. */

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

/** Inverse of a symmetric positive definite matrix (Gauss-Jordan without pivoting, which such a matrix does not need). */
function inverse(matrix: readonly (readonly number[])[]): number[][] {
  const n = matrix.length;
  const a = matrix.map((row, i) => [...row, ...Array.from({ length: n }, (_, j) => (i === j ? 1 : 0))]);
  for (let i = 0; i < n; i++) {
    const pivot = a[i]![i]!;
    for (let j = 0; j < 2 * n; j++) a[i]![j]! /= pivot;
    for (let k = 0; k < n; k++) {
      const factor = a[k]![i]!;
      if (k === i || factor === 0) continue;
      for (let j = 0; j < 2 * n; j++) a[k]![j]! -= factor * a[i]![j]!;
    }
  }
  return a.map((row) => row.slice(n));
}

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, i) => sum + value * b[i]!, 0);

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
  const average = (values: readonly number[]): number => dot(values, weights) / total;
  const p = rows[0]!.length;
  const columns = Array.from({ length: p }, (_, j) => rows.map((row) => row[j]!));
  const means = columns.map(average);
  const scales = columns.map((column, j) => {
    const deviation = Math.sqrt(average(column.map((value) => (value - means[j]!) ** 2)));
    // A constant feature says nothing: it becomes 0, not the rounding noise of its mean.
    return deviation > 1e-9 * Math.abs(means[j]!) ? deviation : Number.POSITIVE_INFINITY;
  });
  const x = rows.map((row) => row.map((value, j) => (value - means[j]!) / scales[j]!));
  const centre = average(targets);
  const y = targets.map((target) => target - centre);
  const gram = means.map((_, j) =>
    means.map((__, k) => x.reduce((s, row, i) => s + weights[i]! * row[j]! * row[k]!, 0)),
  );
  const moment = means.map((_, j) => x.reduce((s, row, i) => s + weights[i]! * row[j]! * y[i]!, 0));

  let best: RidgeFit | undefined;
  for (const lambda of lambdas) {
    const inverted = inverse(gram.map((row, j) => row.map((v, k) => (j === k ? v + lambda * total : v))));
    const scaled = inverted.map((row) => dot(row, moment));
    const leftOut = x.map((row, i) => {
      const leverage =
        weights[i]! *
        (1 / total +
          dot(
            row,
            inverted.map((r) => dot(r, row)),
          ));
      return targets[i]! - (y[i]! - dot(row, scaled)) / Math.max(1 - leverage, 1e-9);
    });
    const looError = average(leftOut.map((value, i) => (value - targets[i]!) ** 2));
    if (best !== undefined && looError >= best.looError) continue;
    const coefficients = scaled.map((value, j) => value / scales[j]!);
    best = { intercept: centre - dot(coefficients, means), coefficients, lambda, leftOut, looError };
  }
  return best!;
}
