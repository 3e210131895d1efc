import { fitLinear, linearModel, restoreLinear, type LinearFeature, type LinearFit } from './linear.js';
import type { PredictorDefinition } from './predictor.js';

/**
 * From few to many: a block timed alone pays for calls and layout conversions that it does not pay inside a network, and
 * finds its weights in the cache. So the sum is off by a share, by an amount a block, by an amount a number that crosses
 * a border, and by an amount a weight.
 */
const FEATURE_SETS: readonly (readonly LinearFeature[])[] = [
  ['tableSum'],
  ['tableSum', 'blocks'],
  ['tableSum', 'blocks', 'boundary'],
  ['tableSum', 'blocks', 'boundary', 'macs'],
  ['tableSum', 'blocks', 'boundary', 'macs', 'params'],
  ['tableSum', 'blocks', 'boundary', 'macs', 'params', 'activations', 'depthwiseMacs'],
];

/** A longer list of features must lower the leave-one-out error (mean square) by this share to be taken. */
const WORTHWHILE = 0.9;

/**
 * T = sum + a + (b - 1) sum + …: the table's sum, corrected by a ridge regression on whole subnets that shrinks towards
 * the table itself (b = 1) plus a constant. Features by leave-one-out error.
 */
export const correctedTablePredictor: PredictorDefinition = {
  name: 'corrected-table',
  description: 'Sum of the table, corrected by a regression on whole subnets',
  minExamples: 5,
  needs: ['table'],
  fit(examples, context) {
    let best: LinearFit | undefined;
    for (const features of FEATURE_SETS) {
      if (examples.length < 4 * features.length) break;
      const fit = fitLinear('table', features, examples, context);
      if (best === undefined || fit.looError < WORTHWHILE * best.looError) best = fit;
    }
    if (best === undefined) {
      throw new RangeError(
        `Cannot correct a latency table: it needs 5 whole subnets: there are ${examples.length}`,
      );
    }
    return linearModel(best.state, context);
  },
  restore: (state, context) => restoreLinear('corrected-table', state, context),
};
