/** Every predictor of the registry, but networks: networkConformance.test.ts has those, as they take longer. */
import { expect, it } from 'vitest';
import { accuracyPredictorByName, accuracyPredictors } from '../../src/accuracy/predictors/index.js';
import { predictorConformance } from '../support/predictorConformance.js';

for (const definition of accuracyPredictors.values())
  if (definition.losses.length === 1) predictorConformance(definition);

it('names the predictors that exist', () => {
  expect(() => accuracyPredictorByName('x')).toThrow(
    'Unknown accuracy predictor "x": known are ensemble, gp, gradient-boosting, mlp, nao, random-forest, ridge',
  );
});
