/** Regression on rows of numbers: what `residual.ts` puts on top of a simple predictor. */
import type { z } from 'zod';

export interface Learner<State> {
  /** Of a fitted state, plain data. */
  readonly schema: z.ZodType<State>;
  /** Least squares. `rows`: equally long, at least two. The same examples give the same state. */
  fit(rows: readonly (readonly number[])[], targets: readonly number[]): State;
  predict(state: State, row: readonly number[]): number;
}
