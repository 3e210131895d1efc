/** All accuracy predictors: add a definition and a place here. */
import { unknownName } from '../../util/errors.js';
import type { PredictorDefinition } from '../predictor.js';
import { ensemblePredictor } from './ensemble.js';
import { gaussianProcessPredictor } from './gaussianProcess.js';
import { gradientBoostingPredictor } from './gradientBoosting.js';
import { mlpPredictor } from './mlp.js';
import { naoPredictor } from './nao.js';
import { randomForestPredictor } from './randomForest.js';
import { ridgePredictor } from './ridge.js';

/** Simple ones first: of equals the first is taken. */
export const accuracyPredictors: ReadonlyMap<string, PredictorDefinition> = new Map(
  [
    ridgePredictor,
    gaussianProcessPredictor,
    randomForestPredictor,
    gradientBoostingPredictor,
    ensemblePredictor,
    mlpPredictor,
    naoPredictor,
  ].map((definition) => [definition.name, definition]),
);

/** Throws UserError naming the known ones. */
export function accuracyPredictorByName(name: string): PredictorDefinition {
  const definition = accuracyPredictors.get(name);
  if (definition === undefined) throw unknownName('accuracy predictor', name, [...accuracyPredictors.keys()]);
  return definition;
}
