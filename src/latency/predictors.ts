/** All latency predictors: add a line to add one. */
import { unknownName, UserError } from '../util/errors.js';
import { correctedTablePredictor } from './correctedTable.js';
import { featureRidgePredictor } from './featureRidge.js';
import type { LatencyExample, LatencyPredictor, PredictorContext, PredictorDefinition } from './predictor.js';
import { tableSumPredictor } from './tableSum.js';

/** Simple ones first: of equals the first is taken. */
export const latencyPredictors: ReadonlyMap<string, PredictorDefinition> = new Map(
  [tableSumPredictor, correctedTablePredictor, featureRidgePredictor].map((definition) => [
    definition.name,
    definition,
  ]),
);

/** Throws UserError naming the known ones. */
export function latencyPredictorByName(name: string): PredictorDefinition {
  const definition = latencyPredictors.get(name);
  if (definition === undefined) throw unknownName('latency predictor', name, [...latencyPredictors.keys()]);
  return definition;
}

/** Definitions that can be fitted with what there is. */
export function applicablePredictors(
  examples: readonly LatencyExample[],
  context: PredictorContext,
): PredictorDefinition[] {
  return [...latencyPredictors.values()].filter(
    ({ minExamples, needsTable }) =>
      examples.length >= minExamples && (!needsTable || context.blockLatencyMs !== undefined),
  );
}

/**
 * The predictor with the least leave-one-out error on the examples; without examples the table's sum. Throws UserError
 * where there is neither a table nor enough examples.
 */
export function chooseLatencyPredictor(
  examples: readonly LatencyExample[],
  context: PredictorContext,
): LatencyPredictor {
  let best: LatencyPredictor | undefined;
  for (const definition of applicablePredictors(examples, context)) {
    const predictor = definition.fit(examples, context);
    if (best === undefined || (predictor.leaveOneOutMape ?? 0) < (best.leaveOneOutMape ?? 0))
      best = predictor;
  }
  if (best === undefined) {
    throw new UserError(
      `Cannot predict latency: it needs a latency table or ${featureRidgePredictor.minExamples} measured subnets: there are ${examples.length}`,
    );
  }
  return best;
}
