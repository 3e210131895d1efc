/** All latency predictors: add a line to add one. */
import { unknownName, UserError } from '../util/errors.js';
import { studentWithin } from '../util/studentT.js';
import type { PredictorContext } from './context.js';
import { correctedTablePredictor } from './correctedTable.js';
import { FEW_EXAMPLES, judgePredictor, type JudgedPredictor } from './crossValidation.js';
import { featureRidgePredictor } from './featureRidge.js';
import { geneRidgePredictor } from './geneRidge.js';
import type { LatencyExample, LatencyPredictor, PredictorDefinition } from './predictor.js';
import {
  mlpPredictor,
  tableRidgePredictor,
  tableTreesPredictor,
  treesPredictor,
} from './residualPredictors.js';
import { tableSumPredictor } from './tableSum.js';
import { transferPredictor } from './transferPredictor.js';

/** Simple ones first: another must be better to be taken. */
export const latencyPredictors: ReadonlyMap<string, PredictorDefinition> = new Map(
  [
    tableSumPredictor,
    correctedTablePredictor,
    transferPredictor,
    featureRidgePredictor,
    geneRidgePredictor,
    tableRidgePredictor,
    tableTreesPredictor,
    treesPredictor,
    mlpPredictor,
  ].map((definition) => [definition.name, definition]),
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
  const has = { table: context.hasTable, sources: context.sources.length > 0 };
  return [...latencyPredictors.values()].filter(
    ({ minExamples, needs }) => examples.length >= minExamples && needs.every((need) => has[need]),
  );
}

/**
 * Whether errors are smaller for another reason than chance: by more than `standardErrors` of their paired difference (one
 * by the rule of Breiman et al., Classification and Regression Trees, 1984).
 */
function clearlyBetter(
  errors: readonly number[],
  thanErrors: readonly number[],
  standardErrors: number,
): boolean {
  const n = errors.length;
  const gains = errors.map((error, i) => thanErrors[i]! - error);
  const mean = gains.reduce((sum, gain) => sum + gain, 0) / n;
  const variance = gains.reduce((sum, gain) => sum + (gain - mean) ** 2, 0) / Math.max(1, n - 1);
  return mean > standardErrors * Math.sqrt(variance / n);
}

/**
 * One, but for a predictor that does without the blocks or other devices that the one so far knows of: from few examples, which
 * it has alone, it must be better beyond doubt (a paired t test at 5 %).
 */
function wantedStandardErrors(
  challenger: PredictorDefinition,
  incumbent: PredictorDefinition,
  n: number,
): number {
  const knowsLess = incumbent.needs.some((need) => !challenger.needs.includes(need));
  return knowsLess && n > 1 && n < FEW_EXAMPLES ? studentWithin(0.95, n - 1) : 1;
}

/**
 * The simplest predictor that no other is clearly better than, by errors on examples that were left out of the fit;
 * without examples the table's sum. Throws UserError where there is neither a table nor enough examples.
 */
export function chooseLatencyPredictor(
  examples: readonly LatencyExample[],
  context: PredictorContext,
): LatencyPredictor {
  let best: { readonly definition: PredictorDefinition; readonly judged: JudgedPredictor } | undefined;
  for (const definition of applicablePredictors(examples, context)) {
    const judged = judgePredictor(definition, examples, context);
    if (
      best === undefined ||
      clearlyBetter(
        judged.leftOutErrors,
        best.judged.leftOutErrors,
        wantedStandardErrors(definition, best.definition, examples.length),
      )
    )
      best = { definition, judged };
  }
  if (best === undefined) {
    throw new UserError(
      `Cannot predict latency: it needs a latency table or ${featureRidgePredictor.minExamples} measured subnets: there are ${examples.length}`,
    );
  }
  return best.judged.predictor;
}
