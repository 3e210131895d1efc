import { fitLinear, linearPredictor, restoreLinear, type LinearFeature, type LinearState } from './linear.js';
import type { PredictorDefinition } from './predictor.js';

/**
 * From few to many: a block timed alone pays for calls and layout conversions that it does not pay inside a network, so
 * the sum is off by a share, by an amount a block, and by an amount a number that crosses a border.
 */
const FEATURE_SETS: readonly (readonly LinearFeature[])[] = [
  ['tableSum'],
  ['tableSum', 'blocks'],
  ['tableSum', 'blocks', 'boundary'],
  ['tableSum', 'blocks', 'boundary', 'macs'],
];

/** A longer list of features must lower the leave-one-out error by this share to be taken. */
const WORTHWHILE = 0.95;

/**
 * T = sum + a + (b - 1) sum + …: the table's sum, corrected by a ridge regression on whole subnets that shrinks towards
 * the table itself (b = 1) plus a constant. Features by leave-one-out error.
 */
export const correctedTablePredictor: PredictorDefinition = {
  name: 'corrected-table',
  description: 'Sum of the table, corrected by a regression on whole subnets',
  minExamples: 5,
  needsTable: true,
  fit(examples, context) {
    let best: LinearState | undefined;
    for (const features of FEATURE_SETS) {
      if (examples.length < 4 * features.length) break;
      const state = fitLinear('table', features, examples, context);
      if (best === undefined || state.leaveOneOutMape! < WORTHWHILE * best.leaveOneOutMape!) best = state;
    }
    if (best === undefined) {
      throw new RangeError(
        `Cannot correct a latency table: it needs 5 whole subnets: there are ${examples.length}`,
      );
    }
    return linearPredictor('corrected-table', best, context);
  },
  restore: (state, context) => restoreLinear('corrected-table', state, context),
};
