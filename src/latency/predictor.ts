/** Latency of whole networks from a table, from measured subnets, or both. One file a predictor; see predictors.ts. */
import type { Architecture } from '../space/architecture.js';
import type { Network } from '../space/network.js';
import type { SearchSpace } from '../space/space.js';

export interface LatencyExample {
  readonly architecture: Architecture;
  readonly latencyMs: number;
}

export interface PredictorContext {
  readonly space: SearchSpace;
  /** Latency of a block by its key, in networks of an image size. Throws UserError where it is not known. Absent where there is no table. */
  readonly blockLatencyMs?: (key: string, imageSize: number) => number;
}

export interface LatencyPrediction {
  readonly latencyMs: number;
  /** Covers 90 % of networks; null where nothing was measured that could tell. */
  readonly intervalMs: readonly [number, number] | null;
}

export interface LatencyPredictor {
  /** Of its definition. */
  readonly name: string;
  /** Mean absolute error in percent over the examples, each predicted without itself; null without examples. */
  readonly leaveOneOutMape: number | null;
  /** Throws RangeError for an architecture outside the space, UserError where the table lacks a block. */
  predict(arch: Architecture): LatencyPrediction;
  /** Plain data from which the definition's `restore` makes it again. */
  state(): unknown;
}

export interface PredictorDefinition {
  readonly name: string;
  readonly description: string;
  /** Examples it cannot do without. */
  readonly minExamples: number;
  readonly needsTable: boolean;
  /** Throws RangeError for fewer than `minExamples` examples. */
  fit(examples: readonly LatencyExample[], context: PredictorContext): LatencyPredictor;
  /** Throws UserError where `state` is not one of its states. */
  restore(state: unknown, context: PredictorContext): LatencyPredictor;
}

/** Sum of the table's entries. Throws UserError for a missing one. */
export function tableSum(network: Network, context: PredictorContext): number {
  const lookup = context.blockLatencyMs;
  if (lookup === undefined) throw new TypeError('Cannot sum a latency table: the context has none');
  return network.blocks.reduce((sum, { key }) => sum + lookup(key, network.input.height), 0);
}
