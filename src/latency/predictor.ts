/** Latency of whole networks from a table, from measured subnets, or both. One file a predictor; see predictors.ts. */
import type { Architecture } from '../space/architecture.js';
import type { PredictorContext } from './context.js';

export interface LatencyExample {
  readonly architecture: Architecture;
  readonly latencyMs: number;
}

export interface LatencyPrediction {
  readonly latencyMs: number;
  /** Covers 90 % of networks; null where nothing was measured that could tell. */
  readonly intervalMs: readonly [number, number] | null;
}

/** A fitted rule from architectures to latencies. */
export interface LatencyModel {
  /** Above 0. Throws RangeError for an architecture outside the space, UserError where the table lacks a block. */
  predictMs(arch: Architecture): number;
  /** Plain data from which the definition's `restore` makes it again. */
  state(): unknown;
}

/** A model that knows its error; see `fitPredictor`. */
export interface LatencyPredictor {
  /** Of its definition. */
  readonly name: string;
  /** Mean absolute error in percent over the examples, each predicted by a fit without it; null without examples. */
  readonly crossValidatedMape: number | null;
  /** Throws as `LatencyModel.predictMs`. */
  predict(arch: Architecture): LatencyPrediction;
  /** Plain data from which `restorePredictor` makes it again. */
  state(): unknown;
}

/** What a predictor may need of its context, beside examples. */
export type Need = 'table' | 'sources';

export interface PredictorDefinition {
  readonly name: string;
  readonly description: string;
  /** Examples it cannot do without. */
  readonly minExamples: number;
  readonly needs: readonly Need[];
  /** Also for fewer than `minExamples`, as cross-validation leaves up to a fifth out. Throws RangeError for fewer than that. */
  fit(examples: readonly LatencyExample[], context: PredictorContext): LatencyModel;
  /** Throws UserError where `state` is not one of its states. */
  restore(state: unknown, context: PredictorContext): LatencyModel;
}
