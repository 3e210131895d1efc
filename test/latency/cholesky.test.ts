import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Cholesky, symmetric } from '../../src/latency/cholesky.js';

describe('Cholesky', () => {
  it('solves what it was made of, and agrees with the definitions', () => {
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
        const matrix = symmetric(n, (i, j) => {
          let sum = i === j ? 1 : 0;
          for (let k = 0; k < n; k++) sum += values[i * n + k]! * values[j * n + k]!;
          return sum;
        });
        const factor = new Cholesky(matrix);
        const x = factor.solve(b);
        for (let i = 0; i < n; i++) {
          let sum = 0;
          for (let j = 0; j < n; j++) sum += matrix.values[i * n + j]! * x[j]!;
          expect(sum).toBeCloseTo(b[i]!, 6);
        }
        expect(factor.quadraticForm(b)).toBeCloseTo(
          b.reduce((sum, value, i) => sum + value * x[i]!, 0),
          6,
        );
      }),
    );
  });

  it('knows the determinant, and refuses what is not positive definite', () => {
    const of = (a: number, b: number, c: number) => symmetric(2, (i, j) => (i !== j ? b : i === 0 ? a : c));
    expect(new Cholesky(of(4, 1, 3)).logDeterminant()).toBeCloseTo(Math.log(11), 12);
    expect(() => new Cholesky(of(1, 2, 1))).toThrow(RangeError);
  });
});
