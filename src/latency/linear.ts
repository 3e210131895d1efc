/** What all predictors of this folder are: a base (the table's sum, or nothing) plus a linear function of few features. */
import { z } from 'zod';
import type { Network } from '../space/network.js';
import { validate } from '../util/files.js';
import { networkFeatures, type FeatureName } from './features.js';
import { tableSum, type LatencyExample, type LatencyPredictor, type PredictorContext } from './predictor.js';
import { fitRidge } from './ridge.js';

/** `tableSum`: of the network's blocks; the others describe the network. */
const FEATURES = ['tableSum', ...(Object.keys(networkFeatures) as FeatureName[])] as const;
export type LinearFeature = (typeof FEATURES)[number];

const stateSchema = z.strictObject({
  base: z.enum(['table', 'nothing']),
  intercept: z.number(),
  features: z.array(z.strictObject({ name: z.enum(FEATURES), coefficient: z.number() })),
  leaveOneOutMape: z.number().nullable(),
  /** Half-width of the 90 % interval relative to the prediction. */
  relativeWidth: z.number().nonnegative().nullable(),
});
export type LinearState = z.infer<typeof stateSchema>;

function featureValue(name: LinearFeature, network: Network, context: PredictorContext): number {
  return name === 'tableSum' ? tableSum(network, context) : networkFeatures[name](network);
}

function baseValue(base: LinearState['base'], network: Network, context: PredictorContext): number {
  return base === 'table' ? tableSum(network, context) : 0;
}

/**
 * Relative half-width that covers a new network with 90 % probability, from errors relative to predictions made without
 * the network in question: the ceil(0.9 (n + 1))-th smallest (jackknife, conformal: Vovk et al., "Algorithmic Learning
 * in a Random World"; Barber et al., "Predictive inference with the jackknife+", 2021); the largest for n < 9.
 */
export function intervalWidth(predictedMs: readonly number[], measuredMs: readonly number[]): number | null {
  const n = measuredMs.length;
  if (n === 0) return null;
  const errors = measuredMs.map((measured, i) => Math.abs(measured / Math.max(predictedMs[i]!, 1e-9) - 1));
  errors.sort((a, b) => a - b);
  return errors[Math.min(n, Math.ceil(0.9 * (n + 1))) - 1]!;
}

function percentError(predictedMs: readonly number[], measuredMs: readonly number[]): number | null {
  const n = measuredMs.length;
  if (n === 0) return null;
  return measuredMs.reduce((sum, m, i) => sum + (100 * Math.abs(predictedMs[i]! - m)) / m, 0) / n;
}

/** Without fitting anything: the base alone, judged by the examples. */
export function baseState(examples: readonly LatencyExample[], context: PredictorContext): LinearState {
  const measured = examples.map(({ latencyMs }) => latencyMs);
  const predicted = examples.map(({ architecture }) =>
    tableSum(context.space.network(architecture), context),
  );
  return {
    base: 'table',
    intercept: 0,
    features: [],
    leaveOneOutMape: percentError(predicted, measured),
    relativeWidth: intervalWidth(predicted, measured),
  };
}

const LAMBDAS = [1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1, 3];

/**
 * Ridge regression of what the base does not explain, weighted with 1 / latency^2 so that it minimises relative errors;
 * the penalty is the one with the least leave-one-out error. Throws RangeError for fewer than two examples.
 */
export function fitLinear(
  base: LinearState['base'],
  names: readonly LinearFeature[],
  examples: readonly LatencyExample[],
  context: PredictorContext,
): LinearState {
  const networks = examples.map(({ architecture }) => context.space.network(architecture));
  const measured = examples.map(({ latencyMs }) => latencyMs);
  const bases = networks.map((network) => baseValue(base, network, context));
  const fit = fitRidge(
    networks.map((network) => names.map((name) => featureValue(name, network, context))),
    measured.map((latencyMs, i) => latencyMs - bases[i]!),
    measured.map((latencyMs) => latencyMs ** -2),
    LAMBDAS,
  );
  const leftOut = fit.leftOut.map((value, i) => value + bases[i]!);
  return {
    base,
    intercept: fit.intercept,
    features: names.map((name, i) => ({ name, coefficient: fit.coefficients[i]! })),
    leaveOneOutMape: percentError(leftOut, measured),
    relativeWidth: intervalWidth(leftOut, measured),
  };
}

export function linearPredictor(
  name: string,
  state: LinearState,
  context: PredictorContext,
): LatencyPredictor {
  return {
    name,
    leaveOneOutMape: state.leaveOneOutMape,
    predict(arch) {
      const network = context.space.network(arch);
      const value = state.features.reduce(
        (sum, feature) => sum + feature.coefficient * featureValue(feature.name, network, context),
        state.intercept + baseValue(state.base, network, context),
      );
      // A linear function may fall below 0 far from what it was fitted on; a latency does not.
      const latencyMs = Math.max(value, 1e-6);
      const width = state.relativeWidth;
      const intervalMs =
        width === null ? null : ([Math.max(0, latencyMs * (1 - width)), latencyMs * (1 + width)] as const);
      return { latencyMs, intervalMs };
    },
    state: () => state,
  };
}

/** Throws UserError where `state` is not a `LinearState`. */
export function restoreLinear(name: string, state: unknown, context: PredictorContext): LatencyPredictor {
  return linearPredictor(
    name,
    validate(state, stateSchema, `the state of latency predictor "${name}"`),
    context,
  );
}
