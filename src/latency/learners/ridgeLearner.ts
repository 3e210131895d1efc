import { z } from 'zod';
import { fitRidge } from '../ridge.js';
import type { Learner } from './learner.js';

const stateSchema = z.strictObject({ intercept: z.number(), coefficients: z.array(z.number()) });
export type RidgeState = z.infer<typeof stateSchema>;

/** Ridge regression; the penalty of the list with the least leave-one-out error. */
export function ridgeLearner(lambdas: readonly number[]): Learner<RidgeState> {
  return {
    schema: stateSchema,
    fit(rows, targets) {
      const { intercept, coefficients } = fitRidge(
        rows,
        targets,
        targets.map(() => 1),
        lambdas,
      );
      return { intercept, coefficients: [...coefficients] };
    },
    predict: ({ intercept, coefficients }, row) =>
      coefficients.reduce((sum, coefficient, i) => sum + coefficient * row[i]!, intercept),
  };
}
