/** How good predicted latencies are, on networks that were measured and never used to fit. */
import { mean } from 'simple-statistics';
import { kendallTauB, spearmanRho } from '../util/statistics.js';

export interface LatencyErrors {
  readonly count: number;
  /** Mean absolute error in percent of the measured value. */
  readonly mape: number;
  /** Root mean square error in ms. */
  readonly rmseMs: number;
  /** Mean signed error in percent: above 0 where predictions are too high. */
  readonly biasPercent: number;
  /** Percent of the networks whose prediction is at most 5 (10) % off. */
  readonly within5Percent: number;
  readonly within10Percent: number;
  /** NaN becomes null: ranks have no correlation where all values are equal. */
  readonly spearman: number | null;
  readonly kendallTau: number | null;
  /** Percent of the networks that lie within their 90 % interval; null without intervals. */
  readonly coveredPercent: number | null;
}

/** Throws RangeError for lists that are empty or of unequal length. */
export function evaluateLatency(
  predictedMs: readonly number[],
  measuredMs: readonly number[],
  intervalsMs: readonly (readonly [number, number] | null)[] = [],
): LatencyErrors {
  const count = measuredMs.length;
  if (count === 0 || predictedMs.length !== count) {
    throw new RangeError(
      `Cannot evaluate latencies: lists must be of equal length and not empty: they have ${predictedMs.length} and ${count} values`,
    );
  }
  const relative = measuredMs.map((measured, i) => (100 * (predictedMs[i]! - measured)) / measured);
  const share = (limit: number): number =>
    (100 * relative.filter((percent) => Math.abs(percent) <= limit).length) / count;
  const orNull = (value: number): number | null => (Number.isNaN(value) ? null : value);
  const withInterval = measuredMs.flatMap((measured, i) => {
    const interval = intervalsMs[i] ?? null;
    return interval === null ? [] : [measured >= interval[0] && measured <= interval[1]];
  });
  return {
    count,
    mape: mean(relative.map(Math.abs)),
    rmseMs: Math.sqrt(mean(measuredMs.map((measured, i) => (predictedMs[i]! - measured) ** 2))),
    biasPercent: mean(relative),
    within5Percent: share(5),
    within10Percent: share(10),
    spearman: orNull(spearmanRho(predictedMs, measuredMs)),
    kendallTau: orNull(kendallTauB(predictedMs, measuredMs)),
    coveredPercent:
      withInterval.length === 0 ? null : (100 * withInterval.filter(Boolean).length) / withInterval.length,
  };
}
