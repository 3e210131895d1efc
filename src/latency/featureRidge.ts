import { fitLinear, linearModel, restoreLinear, type LinearFeature } from './linear.js';
import type { PredictorDefinition } from './predictor.js';

const FEATURES: readonly LinearFeature[] = [
  'macs',
  'activations',
  'blocks',
  'area',
  'denseMacs',
  'depthwiseMacs',
];

/** Ridge regression on six numbers of a network: needs no table, for devices on which only whole models can be timed. */
export const featureRidgePredictor: PredictorDefinition = {
  name: 'features',
  description: 'Regression on MACs, activations, depth and image size; needs no table',
  minExamples: 8,
  needs: [],
  fit(examples, context) {
    if (examples.length < 7) {
      throw new RangeError(
        `Cannot fit latency by features: it needs 8 whole subnets: there are ${examples.length}`,
      );
    }
    return linearModel(fitLinear('nothing', FEATURES, examples, context).state, context);
  },
  restore: (state, context) => restoreLinear('features', state, context),
};
