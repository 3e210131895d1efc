/** Predictors that are networks, which have ranking losses: the same suite as all others, in a process of its own. */
import { accuracyPredictors } from '../../src/accuracy/predictors/index.js';
import { predictorConformance } from '../support/predictorConformance.js';

for (const definition of accuracyPredictors.values())
  if (definition.losses.length > 1) predictorConformance(definition);
