import { CholeskyDecomposition, determinant, Matrix } from 'ml-matrix';
import { describe, expect, it } from 'vitest';
import { cholesky, choleskySolve, invertLower, logDeterminant } from '../../src/util/cholesky.js';
import { createRandom } from '../../src/util/random.js';
import '../support/matchers.js';

const size = 9;
const random = createRandom('cholesky');
const root = new Matrix(
  Array.from({ length: size }, () => Array.from({ length: size }, () => random.normal())),
);
const matrix = root.mmul(root.transpose()).add(Matrix.eye(size).mul(0.1));
const flat = Float64Array.from(matrix.to1DArray());
const factor = cholesky(flat, size);

const near = { absolute: 1e-8 };

describe('cholesky', () => {
  it('is that of a matrix library', () => {
    const expected = new CholeskyDecomposition(matrix).lowerTriangularMatrix.to1DArray();
    expect(factor.lower).toBeAllclose(expected, near);
  });

  it('reads the lower half only', () => {
    const half = flat.map((value, i) => (i % size > Math.floor(i / size) ? Number.NaN : value));
    expect(cholesky(half, size).lower).toEqual(factor.lower);
  });

  it('refuses a matrix that is not positive definite', () => {
    expect(() => cholesky(Float64Array.of(1, 2, 2, 1), 2)).toThrow(RangeError);
    expect(() => cholesky(Float64Array.of(Number.NaN), 1)).toThrow(RangeError);
  });

  it('solves, inverts and has the determinant', () => {
    const b = Array.from({ length: size }, () => random.normal());
    const x = Matrix.columnVector([...choleskySolve(factor, b)]);
    expect(matrix.mmul(x).to1DArray()).toBeAllclose(b, near);
    const inverse = Matrix.from1DArray(size, size, [...invertLower(factor)]);
    const lower = Matrix.from1DArray(size, size, [...factor.lower]);
    expect(inverse.mmul(lower).to1DArray()).toBeAllclose(Matrix.eye(size).to1DArray(), near);
    expect(logDeterminant(factor)).toBeCloseTo(Math.log(determinant(matrix)), 8);
  });
});
