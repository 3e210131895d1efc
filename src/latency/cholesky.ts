/**
 * Dense symmetric systems. Own code, as `ofa latency query` has 200 ms for everything and a matrix library takes a good
 * part of that to load.
 */

/** Square, row by row. */
export interface SymmetricMatrix {
  readonly size: number;
  readonly values: Float64Array;
}

/** `entry(i, j)` is called for j <= i. */
export function symmetric(size: number, entry: (i: number, j: number) => number): SymmetricMatrix {
  const values = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) values[i * size + j] = values[j * size + i] = entry(i, j);
  }
  return { size, values };
}

/** A = L L^T of a positive definite matrix. */
export class Cholesky {
  private readonly size: number;
  private readonly lower: Float64Array;

  /** Throws RangeError where `matrix` is not positive definite. */
  constructor(matrix: SymmetricMatrix) {
    const n = matrix.size;
    const l = matrix.values.slice();
    for (let j = 0; j < n; j++) {
      for (let i = j; i < n; i++) {
        let value = l[i * n + j]!;
        for (let k = 0; k < j; k++) value -= l[i * n + k]! * l[j * n + k]!;
        if (i > j) l[i * n + j] = value / l[j * n + j]!;
        else if (value > 0) l[j * n + j] = Math.sqrt(value);
        else throw new RangeError('Cannot factor the matrix: it must be positive definite: it is not');
      }
    }
    this.size = n;
    this.lower = l;
  }

  /** x of A x = b. */
  solve(b: ArrayLike<number>): Float64Array {
    const { size: n, lower: l } = this;
    const x = Float64Array.from(b);
    for (let i = 0; i < n; i++) {
      let value = x[i]!;
      for (let k = 0; k < i; k++) value -= l[i * n + k]! * x[k]!;
      x[i] = value / l[i * n + i]!;
    }
    for (let i = n - 1; i >= 0; i--) {
      let value = x[i]!;
      for (let k = i + 1; k < n; k++) value -= l[k * n + i]! * x[k]!;
      x[i] = value / l[i * n + i]!;
    }
    return x;
  }

  /** b^T A^-1 b. */
  quadraticForm(b: ArrayLike<number>): number {
    const { size: n, lower: l } = this;
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

  /** Logarithm of the determinant of A. */
  logDeterminant(): number {
    let total = 0;
    for (let i = 0; i < this.size; i++) total += 2 * Math.log(this.lower[i * this.size + i]!);
    return total;
  }
}
