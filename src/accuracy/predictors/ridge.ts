/** Linear regression with a quadratic penalty, in closed form: the baseline, and what is left with very few samples. */
import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { z } from 'zod';
import { validate } from '../../util/files.js';
import { tensor } from '../../util/tensor.js';
import { definePredictor, type Model } from '../definePredictor.js';

const NAME = 'ridge';
const PENALTIES = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300];

const settingsSchema = z.strictObject({ penalty: z.number().nonnegative() });

export interface RidgeSolution {
  /** One a column, of minimal |y - x c|^2 + penalty |c|^2. */
  readonly coefficients: readonly number[];
  readonly penalty: number;
  /** Mean square error of each row predicted by a fit without it. */
  readonly leaveOneOutError: number;
}

/**
 * The penalty of `penalties` with the least leave-one-out error. One eigendecomposition X'X = V diag(s) V' serves all: row
 * i has leverage sum_j (x_i v_j)^2 / (s_j + penalty), plus 1 / n for the intercept, and its left-out error is e / (1 -
 * leverage) (Hastie, Tibshirani, Friedman, Elements of Statistical Learning, 7.10). Columns of `x` and `y` must have mean 0.
 */
export function solveRidge(
  x: readonly (readonly number[])[],
  y: readonly number[],
  penalties: readonly number[],
): RidgeSolution {
  const n = x.length;
  const matrix = new Matrix(x.map((row) => [...row]));
  const transposed = matrix.transpose();
  const eigen = new EigenvalueDecomposition(transposed.mmul(matrix), { assumeSymmetric: true });
  const vectors = eigen.eigenvectorMatrix;
  const rotated = matrix.mmul(vectors).to2DArray();
  const values = eigen.realEigenvalues.map((value) => Math.max(value, 0));
  const moments = values.map((_, j) => rotated.reduce((sum, row, i) => sum + row[j]! * y[i]!, 0));
  let best: RidgeSolution | undefined;
  for (const penalty of penalties) {
    const weights = moments.map((moment, j) => moment / (values[j]! + penalty));
    let leaveOneOutError = 0;
    rotated.forEach((row, i) => {
      let fitted = 0;
      let leverage = 1 / n;
      row.forEach((value, j) => {
        fitted += value * weights[j]!;
        leverage += value ** 2 / (values[j]! + penalty);
      });
      leaveOneOutError += ((y[i]! - fitted) / Math.max(1 - leverage, 1e-9)) ** 2 / n;
    });
    if (best !== undefined && leaveOneOutError >= best.leaveOneOutError) continue;
    const coefficients = vectors.mmul(Matrix.columnVector(weights)).to1DArray();
    best = { coefficients, penalty, leaveOneOutError };
  }
  if (best === undefined) throw new RangeError('Cannot fit a regression: it needs a penalty: there is none');
  return best;
}

function linear(coefficients: Float32Array, intercept: number, penalty: number): Model {
  const width = coefficients.length;
  return {
    predict(rows, count) {
      const mean = new Float64Array(count);
      for (let row = 0, at = 0; row < count; row++) {
        let sum = intercept;
        for (let place = 0; place < width; place++, at++) sum += rows[at]! * coefficients[place]!;
        mean[row] = sum;
      }
      return Promise.resolve({ mean });
    },
    tensors: new Map([
      ['intercept', tensor([1], Float32Array.of(intercept))],
      ['coefficients', tensor([width], coefficients)],
    ]),
    settings: { penalty },
    dispose: () => Promise.resolve(),
  };
}

export const ridgePredictor = definePredictor({
  name: NAME,
  description: 'Linear in the choices; the penalty has the least leave-one-out error',
  variance: false,

  fit({ rows, width, count, targets }) {
    const means = Array.from({ length: width }, (_, place) => {
      let sum = 0;
      for (let row = 0; row < count; row++) sum += rows[row * width + place]!;
      return sum / count;
    });
    const { coefficients: exact, penalty } = solveRidge(
      Array.from({ length: count }, (_, row) => means.map((mean, j) => rows[row * width + j]! - mean)),
      [...targets],
      PENALTIES,
    );
    const coefficients = Float32Array.from(exact);
    const intercept = Math.fround(-coefficients.reduce((sum, value, j) => sum + value * means[j]!, 0));
    return linear(coefficients, intercept, penalty);
  },

  restore({ width, settings, tensor: read }) {
    const { penalty } = validate(settings, settingsSchema, `the state of accuracy predictor "${NAME}"`);
    return linear(read('coefficients', [width]), read('intercept', [1])[0]!, penalty);
  },
});
