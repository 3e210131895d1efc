import { linearModel, restoreLinear } from './linear.js';
import type { PredictorDefinition } from './predictor.js';

/** The additive lookup table of ProxylessNAS and OFA: the sum over a network's blocks. */
export const tableSumPredictor: PredictorDefinition = {
  name: 'table',
  description: 'Sum of the table over the blocks',
  minExamples: 0,
  needs: ['table'],
  fit: (_, context) => linearModel({ base: 'table', intercept: 0, features: [] }, context),
  restore: (state, context) => restoreLinear('table', state, context),
};
