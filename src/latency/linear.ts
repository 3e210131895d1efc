/** A base (the table's sum, or nothing) plus a linear function of few features. */
import { z } from 'zod';
import { validate } from '../util/files.js';
import type { NetworkFacts, PredictorContext } from './context.js';
import { FEATURE_NAMES } from './features.js';
import type { LatencyExample, LatencyModel } from './predictor.js';
import { fitRidge } from './ridge.js';

/** `tableSum`: of the network's blocks; the others describe the network. */
const FEATURES = ['tableSum', ...FEATURE_NAMES] as const;
export type LinearFeature = (typeof FEATURES)[number];

const stateSchema = z.strictObject({
  base: z.enum(['table', 'nothing']),
  intercept: z.number(),
  features: z.array(z.strictObject({ name: z.enum(FEATURES), coefficient: z.number() })),
});
export type LinearState = z.infer<typeof stateSchema>;

const featureValue = (name: LinearFeature, facts: NetworkFacts): number =>
  name === 'tableSum' ? facts.tableSumMs : facts.features[name];

const baseValue = (base: LinearState['base'], facts: NetworkFacts): number =>
  base === 'table' ? facts.tableSumMs : 0;

const LAMBDAS = [1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1, 3];

export interface LinearFit {
  readonly state: LinearState;
  /** Weighted mean square of errors on examples that were left out, relative: the square of a share. */
  readonly looError: number;
}

/**
 * Ridge regression of what the base does not explain, weighted with 1 / latency^2 so that it minimises relative errors;
 * the penalty is the one with the least leave-one-out error. Throws RangeError for fewer than two examples.
 */
export function fitLinear(
  base: LinearState['base'],
  names: readonly LinearFeature[],
  examples: readonly LatencyExample[],
  context: PredictorContext,
): LinearFit {
  const facts = examples.map(({ architecture }) => context.facts(architecture));
  const measured = examples.map(({ latencyMs }) => latencyMs);
  const weights = measured.map((latencyMs) => latencyMs ** -2);
  const fit = fitRidge(
    facts.map((fact) => names.map((name) => featureValue(name, fact))),
    measured.map((latencyMs, i) => latencyMs - baseValue(base, facts[i]!)),
    weights,
    LAMBDAS,
  );
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return {
    state: {
      base,
      intercept: fit.intercept,
      features: names.map((name, i) => ({ name, coefficient: fit.coefficients[i]! })),
    },
    looError: (fit.looError * total) / examples.length,
  };
}

export function linearModel(state: LinearState, context: PredictorContext): LatencyModel {
  return {
    predictMs(arch) {
      const facts = context.facts(arch);
      const value = state.features.reduce(
        (sum, feature) => sum + feature.coefficient * featureValue(feature.name, facts),
        state.intercept + baseValue(state.base, facts),
      );
      // A linear function may fall below 0 far from what it was fitted on; a latency does not.
      return Math.max(value, 1e-6);
    },
    state: () => state,
  };
}

/** Throws UserError where `state` is not a `LinearState`. */
export function restoreLinear(name: string, state: unknown, context: PredictorContext): LatencyModel {
  return linearModel(validate(state, stateSchema, `the state of latency predictor "${name}"`), context);
}
