/**
 * A device from a few whole networks, by what other devices do. In logarithms, a new device does what the known ones do
 * on average, plus a level of its own, plus a share of the average's swing, plus parts of how each known one deviates
 * from that average, plus a little of what a network's costs say. Each part's weight is normal around 0 with a spread
 * that says how far devices differ (hierarchical Bayesian linear regression; Gelman et al., Bayesian Data Analysis,
 * chapter 15); noise has Student's t distribution, as a few measurements are far off and must not count for many.
 * On 12 real GPU settings: `npm run bench:latency -- --help-data FILE`.
 */
import { cholesky, choleskySolve, logDeterminant, symmetric } from '../util/cholesky.js';
import type { NetworkFacts } from './context.js';
import { FEATURE_NAMES, type NetworkFeatures } from './features.js';
import { weighGenes } from './geneWeights.js';
import type { TransferSource } from './transferSource.js';

/** Standard deviations of the weights' priors. */
const LEVEL = 10;
const SWING = 0.5;
/** Of a standardised cost, with one known device; less where devices themselves span more. */
const COST = 0.04;
/** Degrees of freedom of the noise; its scale is the likeliest of these. */
const NU = 4;
const NOISE = [0.01, 0.02, 0.05, 0.1, 0.15];
const STEPS = 15;

/** What values of a reference set of networks are measured against: the same for all that use one prior. */
export interface Reference {
  /** Mean log latency of each source. */
  readonly centres: readonly number[];
  /** Of log(1 + feature). */
  readonly featureMeans: readonly number[];
  readonly featureScales: readonly number[];
}

const logLatencies = (sources: readonly TransferSource[], facts: NetworkFacts): number[] =>
  sources.map(({ weights }) => Math.log(weighGenes(weights, facts.genes)));

const logFeatures = (features: NetworkFeatures): number[] =>
  FEATURE_NAMES.map((name) => Math.log1p(features[name]));

function meanAndDeviation(values: readonly number[]): { mean: number; deviation: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return { mean, deviation: Math.sqrt(variance) };
}

/** `networks`: some hundred of the space. */
export function referenceOf(
  sources: readonly TransferSource[],
  networks: readonly NetworkFacts[],
): Reference {
  const column = (rows: readonly (readonly number[])[], j: number): number[] => rows.map((row) => row[j]!);
  const latencies = networks.map((facts) => logLatencies(sources, facts));
  const features = networks.map((facts) => logFeatures(facts.features));
  const statistics = FEATURE_NAMES.map((_, j) => meanAndDeviation(column(features, j)));
  return {
    centres: sources.map((_, j) => meanAndDeviation(column(latencies, j)).mean),
    featureMeans: statistics.map(({ mean }) => mean),
    // A feature that all networks share says nothing.
    featureScales: statistics.map(({ deviation }) => (deviation > 1e-9 ? 1 / deviation : 0)),
  };
}

/** A network as the prior sees it: log latency = offset + parts . weights, weights ~ N(0, 1) each. */
export interface TransferRow {
  readonly offset: number;
  readonly parts: readonly number[];
}

export function transferRow(
  sources: readonly TransferSource[],
  { centres, featureMeans, featureScales }: Reference,
  facts: NetworkFacts,
): TransferRow {
  const values = logLatencies(sources, facts).map((value, j) => value - centres[j]!);
  const count = sources.length;
  const offset = values.reduce((sum, value) => sum + value, 0) / count;
  const deviations = values.map((value) => (value - offset) / Math.sqrt(count));
  const costs = logFeatures(facts.features).map(
    (value, j) => ((value - featureMeans[j]!) * featureScales[j]! * COST) / Math.sqrt(count),
  );
  return { offset, parts: [LEVEL, SWING * offset, ...deviations, ...costs] };
}

const dot = (a: readonly number[], b: ArrayLike<number>): number =>
  a.reduce((sum, value, i) => sum + value * b[i]!, 0);

/** The weights' posterior mode for noise of `scale`, and how likely the measurements are then (log, up to a constant). */
function posterior(
  rows: readonly TransferRow[],
  targets: readonly number[],
  scale: number,
): { weights: number[]; logEvidence: number } {
  const size = rows[0]!.parts.length;
  // Expectation-maximisation: t noise is normal noise of a precision that each residual tells (Lange et al., 1989).
  let precisions: number[] = rows.map(() => scale ** -2);
  let weights: Float64Array = new Float64Array(size);
  let logDet = 0;
  let residuals: number[] = [];
  for (let step = 0; step < STEPS; step++) {
    const factor = cholesky(
      symmetric(size, (j, k) =>
        rows.reduce((sum, { parts }, i) => sum + precisions[i]! * parts[j]! * parts[k]!, j === k ? 1 : 0),
      ),
      size,
    );
    weights = choleskySolve(
      factor,
      Float64Array.from({ length: size }, (_, j) =>
        rows.reduce((sum, { parts }, i) => sum + precisions[i]! * parts[j]! * targets[i]!, 0),
      ),
    );
    logDet = logDeterminant(factor);
    residuals = rows.map(({ parts }, i) => (targets[i]! - dot(parts, weights)) / scale);
    precisions = residuals.map((residual) => (NU + 1) / (NU + residual ** 2) / scale ** 2);
  }
  const logEvidence =
    -0.5 * weights.reduce((sum, weight) => sum + weight ** 2, 0) -
    0.5 * logDet -
    residuals.reduce(
      (sum, residual) => sum + ((NU + 1) / 2) * Math.log1p(residual ** 2 / NU) + Math.log(scale),
      0,
    );
  return { weights: [...weights], logEvidence };
}

/** Weights of the parts, from measured latencies in ms. The noise's scale is the one with the greatest evidence (Laplace). */
export function fitTransfer(rows: readonly TransferRow[], latencyMs: readonly number[]): number[] {
  const targets = rows.map(({ offset }, i) => Math.log(latencyMs[i]!) - offset);
  let best: ReturnType<typeof posterior> | undefined;
  for (const scale of NOISE) {
    const fit = posterior(rows, targets, scale);
    if (best === undefined || fit.logEvidence > best.logEvidence) best = fit;
  }
  return best!.weights;
}

/** In ms. */
export function transferMs({ offset, parts }: TransferRow, weights: readonly number[]): number {
  return Math.exp(offset + dot(parts, weights));
}

/** Noise that a measurement is expected to have when the next one is chosen. */
const EXPECTED_NOISE = 0.05;

/**
 * Which `count` of the networks to measure: one after the other that which, measured, leaves the least uncertainty about
 * all of them (greedy on the summed posterior variance: active learning after Cohn, 1996). Indices; a greater count
 * continues a smaller one.
 */
export function chooseInformative(rows: readonly TransferRow[], count: number): number[] {
  const size = rows[0]?.parts.length ?? 0;
  // Covariance of the weights, given what was chosen.
  const covariance = Array.from({ length: size }, (_, i) =>
    Float64Array.from({ length: size }, (__, j) => (i === j ? 1 : 0)),
  );
  const chosen: number[] = [];
  while (chosen.length < Math.min(count, rows.length)) {
    const spread = rows.map(({ parts }) => covariance.map((row) => dot(parts, row)));
    let best = -1;
    let bestGain = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < rows.length; i++) {
      if (chosen.includes(i)) continue;
      const own = dot(rows[i]!.parts, spread[i]!) + EXPECTED_NOISE ** 2;
      let gain = 0;
      for (const { parts } of rows) gain += dot(parts, spread[i]!) ** 2;
      if (gain / own > bestGain) {
        bestGain = gain / own;
        best = i;
      }
    }
    chosen.push(best);
    const direction = spread[best]!;
    const own = dot(rows[best]!.parts, direction) + EXPECTED_NOISE ** 2;
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) covariance[i]![j]! -= (direction[i]! * direction[j]!) / own;
    }
  }
  return chosen;
}
