import { UserError } from '../util/errors.js';
import { validate } from '../util/files.js';
import type { PredictorContext } from './context.js';
import { geneFeatureCount } from './geneFeatures.js';
import { geneWeightsSchema, weighGenes, type GeneWeights } from './geneWeights.js';
import type { LatencyExample, LatencyModel, PredictorDefinition } from './predictor.js';
import { fitRidge } from './ridge.js';

const LAMBDAS = [1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1];

/** Relative errors count. Throws RangeError for fewer than two examples. */
export function fitGeneWeights(
  examples: readonly LatencyExample[],
  context: PredictorContext,
  lambdas: readonly number[] = LAMBDAS,
): GeneWeights {
  const { intercept, coefficients } = fitRidge(
    examples.map(({ architecture }) => context.facts(architecture).genes),
    examples.map(({ latencyMs }) => latencyMs),
    examples.map(({ latencyMs }) => latencyMs ** -2),
    lambdas,
  );
  return { intercept, coefficients: [...coefficients] };
}

/** Throws UserError where the weights are of another space's genes. */
export function checkGeneWeights(weights: GeneWeights, context: PredictorContext, what: string): void {
  const wanted = geneFeatureCount(context.space.genes);
  if (weights.coefficients.length !== wanted) {
    throw new UserError(
      `Cannot use ${what}: it must have ${wanted} coefficients for space "${context.space.name}": it has ${weights.coefficients.length}`,
    );
  }
}

function geneModel(weights: GeneWeights, context: PredictorContext): LatencyModel {
  return {
    predictMs: (arch) => weighGenes(weights, context.facts(arch).genes),
    state: () => weights,
  };
}

/** Ridge regression on every choice of every gene: a table of blocks that was learned from whole networks. */
export const geneRidgePredictor: PredictorDefinition = {
  name: 'choices',
  description: 'Regression on the choice at every place; needs no table, but many subnets',
  minExamples: 40,
  needs: [],
  fit(examples, context) {
    if (examples.length < 20) {
      throw new RangeError(
        `Cannot fit latency by choices: it needs 40 whole subnets: there are ${examples.length}`,
      );
    }
    return geneModel(fitGeneWeights(examples, context), context);
  },
  restore(state, context) {
    const what = 'the state of latency predictor "choices"';
    const weights = validate(state, geneWeightsSchema, what);
    checkGeneWeights(weights, context, what);
    return geneModel(weights, context);
  },
};
