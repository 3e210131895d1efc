/** Linear regression with a quadratic penalty, in closed form: the baseline, and what is left with very few samples. */
import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { z } from 'zod';
import { validate } from '../../util/files.js';
import { tensor } from '../../util/tensor.js';
import { fitInputs, scaleInputs, type InputScaling } from '../inputs.js';
import {
  checkSamples,
  encodeRows,
  stateTensor,
  type AccuracyPredictor,
  type PredictorContext,
  type PredictorDefinition,
} from '../predictor.js';
import { fitTargets, fromTarget, toTarget, type TargetTransform } from '../targets.js';

const NAME = 'ridge';
const PENALTIES = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300];

const settingsSchema = z.strictObject({
  penalty: z.number().nonnegative(),
  targetScale: z.enum(['accuracy', 'log-error']),
  targetMean: z.number(),
  targetDeviation: z.number().nonnegative(),
});

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

interface Fitted {
  readonly inputs: InputScaling;
  readonly intercept: number;
  readonly coefficients: Float32Array;
  readonly targets: TargetTransform;
  readonly penalty: number;
}

function ridge<A>(fitted: Fitted, { encoder }: PredictorContext<A>): AccuracyPredictor<A> {
  const { inputs, intercept, coefficients, targets, penalty } = fitted;
  const width = coefficients.length;
  return {
    name: NAME,
    predict(archs) {
      // A row at a time: a batch would only cost memory.
      const means = archs.map((arch) => {
        const row = scaleInputs(encodeRows(encoder, [arch]), inputs);
        let sum = intercept;
        for (let i = 0; i < width; i++) sum += row[i]! * coefficients[i]!;
        return { mean: fromTarget(targets, sum) };
      });
      return Promise.resolve(means);
    },
    state: () => ({
      tensors: new Map([
        ['input.offset', tensor([width], inputs.offset)],
        ['input.factor', tensor([width], inputs.factor)],
        ['intercept', tensor([1], Float32Array.of(intercept))],
        ['coefficients', tensor([width], coefficients)],
      ]),
      settings: {
        penalty,
        targetScale: targets.scale,
        targetMean: targets.mean,
        targetDeviation: targets.deviation,
      },
    }),
    dispose: () => Promise.resolve(),
  };
}

export const ridgePredictor: PredictorDefinition = {
  name: NAME,
  description: 'Linear in the choices; the penalty has the least leave-one-out error',

  fit(samples, context) {
    checkSamples(samples);
    const width = context.encoder.labels.length;
    const rows = encodeRows(
      context.encoder,
      samples.map(({ architecture }) => architecture),
    );
    const inputs = fitInputs(rows, width);
    scaleInputs(rows, inputs);
    const accuracies = samples.map(({ top1 }) => top1);
    const targets = fitTargets('log-error', accuracies);
    const means = Array.from(
      { length: width },
      (_, j) => samples.reduce((sum, __, i) => sum + rows[i * width + j]!, 0) / samples.length,
    );
    let solution: RidgeSolution = {
      coefficients: means.map(() => 0),
      penalty: 0,
      leaveOneOutError: 0,
    };
    if (targets.deviation > 0) {
      solution = solveRidge(
        samples.map((_, i) => means.map((mean, j) => rows[i * width + j]! - mean)),
        accuracies.map((top1) => toTarget(targets, top1)),
        PENALTIES,
      );
    }
    const coefficients = Float32Array.from(solution.coefficients);
    const intercept = Math.fround(-coefficients.reduce((sum, value, j) => sum + value * means[j]!, 0));
    return Promise.resolve(
      ridge({ inputs, intercept, coefficients, targets, penalty: solution.penalty }, context),
    );
  },

  restore(state, context) {
    const settings = validate(state.settings, settingsSchema, `the state of accuracy predictor "${NAME}"`);
    const width = context.encoder.labels.length;
    const read = (name: string, shape: readonly number[]): Float32Array =>
      stateTensor(state, NAME, name, shape);
    return ridge(
      {
        inputs: { offset: read('input.offset', [width]), factor: read('input.factor', [width]) },
        intercept: read('intercept', [1])[0]!,
        coefficients: read('coefficients', [width]),
        penalty: settings.penalty,
        targets: {
          scale: settings.targetScale,
          mean: settings.targetMean,
          deviation: settings.targetDeviation,
        },
      },
      context,
    );
  },
};
