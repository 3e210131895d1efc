/**
 * Cholesky factorisation of dense symmetric positive definite matrices, row-major float64 [n, n]. Inner loops run along
 * rows: several times as fast as a matrix library that reads element by element through methods.
 */

export interface Cholesky {
  readonly size: number;
  /** L with A = L L'; zeros above the diagonal. */
  readonly lower: Float64Array;
}

/** Throws RangeError where A is not positive definite. Reads its lower half only. */
export function cholesky(matrix: Float64Array, size: number): Cholesky {
  const n = size;
  const l = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    const row = i * n;
    for (let j = 0; j <= i; j++) {
      const other = j * n;
      let value = matrix[row + j]!;
      for (let k = 0; k < j; k++) value -= l[row + k]! * l[other + k]!;
      if (i > j) l[row + j] = value / l[other + j]!;
      else if (value > 0) l[row + j] = Math.sqrt(value);
      else throw new RangeError('Cannot factor the matrix: it must be positive definite: it is not');
    }
  }
  return { size, lower: l };
}

/** x of A x = b. */
export function choleskySolve({ size: n, lower: l }: Cholesky, b: ArrayLike<number>): Float64Array {
  const x = Float64Array.from(b);
  for (let i = 0; i < n; i++) {
    let value = x[i]!;
    for (let k = 0; k < i; k++) value -= l[i * n + k]! * x[k]!;
    x[i] = value / l[i * n + i]!;
  }
  for (let i = n - 1; i >= 0; i--) {
    const value = x[i]! / l[i * n + i]!;
    x[i] = value;
    for (let k = 0; k < i; k++) x[k]! -= l[i * n + k]! * value;
  }
  return x;
}

/** L^-1, row-major; zeros above the diagonal. A^-1 is its transpose times itself. */
export function invertLower({ size: n, lower: l }: Cholesky): Float64Array {
  const inverse = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    const row = i * n;
    // Row i of the inverse: (e_i - sum over k < i of L_ik times row k) / L_ii.
    inverse[row + i] = 1;
    for (let k = 0; k < i; k++) {
      const factor = l[row + k]!;
      const other = k * n;
      for (let j = 0; j <= k; j++) inverse[row + j]! -= factor * inverse[other + j]!;
    }
    const diagonal = l[row + i]!;
    for (let j = 0; j <= i; j++) inverse[row + j]! /= diagonal;
  }
  return inverse;
}

/** Logarithm of the determinant of A. */
export function logDeterminant({ size, lower }: Cholesky): number {
  let total = 0;
  for (let i = 0; i < size; i++) total += 2 * Math.log(lower[i * size + i]!);
  return total;
}
