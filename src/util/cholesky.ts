/**
 * Cholesky factorisation of dense symmetric positive definite matrices, row-major float64 [n, n]. Inner loops run along
 * rows, four at a time where they do not wait for each other: several times as fast as a matrix library that reads element by
 * element through methods.
 */

export interface Cholesky {
  readonly size: number;
  /** L with A = L L'; zeros above the diagonal. */
  readonly lower: Float64Array;
}

/** A symmetric matrix, row-major [size, size]. `entry(i, j)` is called for j <= i. */
export function symmetric(size: number, entry: (i: number, j: number) => number): Float64Array {
  const values = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) values[i * size + j] = values[j * size + i] = entry(i, j);
  }
  return values;
}

/** Throws RangeError where A is not positive definite. Reads its lower half only. */
export function cholesky(matrix: Float64Array, size: number): Cholesky {
  const n = size;
  const l = new Float64Array(n * n);
  for (let j = 0; j < n; j++) {
    const row = j * n;
    let square = matrix[row + j]!;
    for (let k = 0; k < j; k++) square -= l[row + k]! ** 2;
    if (!(square > 0))
      throw new RangeError('Cannot factor the matrix: it must be positive definite: it is not');
    const diagonal = (l[row + j] = Math.sqrt(square));
    let i = j + 1;
    for (; i + 3 < n; i += 4) {
      const r0 = i * n;
      const r1 = r0 + n;
      const r2 = r1 + n;
      const r3 = r2 + n;
      let v0 = matrix[r0 + j]!;
      let v1 = matrix[r1 + j]!;
      let v2 = matrix[r2 + j]!;
      let v3 = matrix[r3 + j]!;
      for (let k = 0; k < j; k++) {
        const factor = l[row + k]!;
        v0 -= factor * l[r0 + k]!;
        v1 -= factor * l[r1 + k]!;
        v2 -= factor * l[r2 + k]!;
        v3 -= factor * l[r3 + k]!;
      }
      l[r0 + j] = v0 / diagonal;
      l[r1 + j] = v1 / diagonal;
      l[r2 + j] = v2 / diagonal;
      l[r3 + j] = v3 / diagonal;
    }
    for (; i < n; i++) {
      let value = matrix[i * n + j]!;
      for (let k = 0; k < j; k++) value -= l[row + k]! * l[i * n + k]!;
      l[i * n + j] = value / diagonal;
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

/** b' A^-1 b. */
export function quadraticForm({ size: n, lower: l }: Cholesky, b: ArrayLike<number>): number {
  const x = Float64Array.from(b);
  let total = 0;
  for (let i = 0; i < n; i++) {
    let value = x[i]!;
    for (let k = 0; k < i; k++) value -= l[i * n + k]! * x[k]!;
    x[i] = value / l[i * n + i]!;
    total += x[i]! ** 2;
  }
  return total;
}

/** L^-1, row-major; zeros above the diagonal. A^-1 is its transpose times itself. */
export function invertLower({ size: n, lower: l }: Cholesky): Float64Array {
  const inverse = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    const row = i * n;
    // Row i of the inverse: (e_i - sum over k < i of L_ik times row k) / L_ii.
    inverse[row + i] = 1;
    let k = 0;
    for (; k + 3 < i; k += 4) {
      const f0 = l[row + k]!;
      const f1 = l[row + k + 1]!;
      const f2 = l[row + k + 2]!;
      const f3 = l[row + k + 3]!;
      const r0 = k * n;
      const r1 = r0 + n;
      const r2 = r1 + n;
      const r3 = r2 + n;
      // Above the diagonal there are zeros.
      for (let j = 0; j <= k + 3; j++) {
        inverse[row + j] =
          inverse[row + j]! -
          f0 * inverse[r0 + j]! -
          f1 * inverse[r1 + j]! -
          f2 * inverse[r2 + j]! -
          f3 * inverse[r3 + j]!;
      }
    }
    for (; k < i; k++) {
      const factor = l[row + k]!;
      const other = k * n;
      for (let j = 0; j <= k; j++) inverse[row + j]! -= factor * inverse[other + j]!;
    }
    const diagonal = l[row + i]!;
    for (let j = 0; j <= i; j++) inverse[row + j]! /= diagonal;
  }
  return inverse;
}

/** M'M of a lower triangular matrix M, row-major; its lower half, zeros above. */
export function gramOfLower(lower: Float64Array, size: number): Float64Array {
  const n = size;
  const product = new Float64Array(n * n);
  let k = 0;
  for (; k + 3 < n; k += 4) {
    const r0 = k * n;
    const r1 = r0 + n;
    const r2 = r1 + n;
    const r3 = r2 + n;
    // Above the diagonal there are zeros.
    for (let i = 0; i <= k + 3; i++) {
      const f0 = lower[r0 + i]!;
      const f1 = lower[r1 + i]!;
      const f2 = lower[r2 + i]!;
      const f3 = lower[r3 + i]!;
      const out = i * n;
      for (let j = 0; j <= i; j++) {
        product[out + j] =
          product[out + j]! +
          f0 * lower[r0 + j]! +
          f1 * lower[r1 + j]! +
          f2 * lower[r2 + j]! +
          f3 * lower[r3 + j]!;
      }
    }
  }
  for (; k < n; k++) {
    const row = k * n;
    for (let i = 0; i <= k; i++) {
      const factor = lower[row + i]!;
      const out = i * n;
      for (let j = 0; j <= i; j++) product[out + j]! += factor * lower[row + j]!;
    }
  }
  return product;
}

/** Logarithm of the determinant of A. */
export function logDeterminant({ size, lower }: Cholesky): number {
  let total = 0;
  for (let i = 0; i < size; i++) total += 2 * Math.log(lower[i * size + i]!);
  return total;
}
