import fc from 'fast-check';
import { CholeskyDecomposition, determinant, Matrix } from 'ml-matrix';
import { describe, expect, it } from 'vitest';
import {
  cholesky,
  choleskySolve,
  gramOfLower,
  invertLower,
  logDeterminant,
  quadraticForm,
  symmetric,
} from '../../src/util/cholesky.js';
import { createRandom } from '../../src/util/random.js';
import '../support/matchers.js';

const near = { absolute: 1e-8 };

// Loops take four rows at a time: sizes with every remainder.
describe.each([1, 2, 3, 4, 5, 9, 14, 23])('cholesky of %i rows', (size) => {
  const random = createRandom('cholesky', size);
  const root = new Matrix(
    Array.from({ length: size }, () => Array.from({ length: size }, () => random.normal())),
  );
  const matrix = root.mmul(root.transpose()).add(Matrix.eye(size).mul(0.1));
  const flat = Float64Array.from(matrix.to1DArray());
  const factor = cholesky(flat, size);
  const lower = Matrix.from1DArray(size, size, [...factor.lower]);

  it('is that of a matrix library', () => {
    const expected = new CholeskyDecomposition(matrix).lowerTriangularMatrix.to1DArray();
    expect(factor.lower).toBeAllclose(expected, near);
  });

  it('reads the lower half only', () => {
    const half = flat.map((value, i) => (i % size > Math.floor(i / size) ? Number.NaN : value));
    expect(cholesky(half, size).lower).toEqual(factor.lower);
  });

  it('solves, inverts and has the determinant', () => {
    const b = Array.from({ length: size }, () => random.normal());
    const x = Matrix.columnVector([...choleskySolve(factor, b)]);
    expect(matrix.mmul(x).to1DArray()).toBeAllclose(b, near);
    const inverse = Matrix.from1DArray(size, size, [...invertLower(factor)]);
    expect(inverse.mmul(lower).to1DArray()).toBeAllclose(Matrix.eye(size).to1DArray(), near);
    expect(logDeterminant(factor)).toBeCloseTo(Math.log(determinant(matrix)), 8);
  });

  it('has the lower half of its gram matrix', () => {
    const expected = lower.transpose().mmul(lower).to1DArray();
    const product = gramOfLower(factor.lower, size);
    expected.forEach((value, i) => {
      if (i % size > Math.floor(i / size)) expect(product[i]).toBe(0);
      else expect(product[i]).toBeCloseTo(value, 8);
    });
  });
});

it('refuses a matrix that is not positive definite', () => {
  expect(() => cholesky(Float64Array.of(1, 2, 2, 1), 2)).toThrow(RangeError);
  expect(() => cholesky(Float64Array.of(Number.NaN), 1)).toThrow(RangeError);
});

describe('a system that was made', () => {
  it('is solved, and has its quadratic form (property)', () => {
    const number = fc.double({ min: -3, max: 3, noNaN: true });
    const square = fc
      .integer({ min: 1, max: 6 })
      .chain((n) =>
        fc.tuple(
          fc.array(number, { minLength: n * n, maxLength: n * n }),
          fc.array(number, { minLength: n, maxLength: n }),
        ),
      );
    fc.assert(
      fc.property(square, ([values, b]) => {
        const n = b.length;
        // B B^T + I is positive definite.
        const made = symmetric(n, (i, j) => {
          let sum = i === j ? 1 : 0;
          for (let k = 0; k < n; k++) sum += values[i * n + k]! * values[j * n + k]!;
          return sum;
        });
        const x = choleskySolve(cholesky(made, n), b);
        for (let i = 0; i < n; i++) {
          let sum = 0;
          for (let j = 0; j < n; j++) sum += made[i * n + j]! * x[j]!;
          expect(sum).toBeCloseTo(b[i]!, 6);
        }
        const form = b.reduce((sum, value, i) => sum + value * x[i]!, 0);
        expect(quadraticForm(cholesky(made, n), b)).toBeCloseTo(form, 6);
      }),
    );
  });
});
