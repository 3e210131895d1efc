/** Which of many points to add to a front: those that add most to its hypervolume, one after the other. */
import { hypervolume, nonDominated, type Gains } from './pareto.js';

/** Below the worst known value of an objective, as a share of its extent, so that the ends of a front count. */
const MARGIN = 0.1;

/**
 * Indices of at most `count` of `candidates`, greedily: each adds most to the hypervolume of `known` and of those before
 * it. All of them are scaled by the extents of `known`. Where none adds anything the rest is by the sum of scaled gains.
 */
export function gainedVolumes(
  candidates: readonly Gains[],
  known: readonly Gains[],
  count: number,
): number[] {
  const all = known.length > 0 ? known : candidates;
  const dimensions = all[0]?.length ?? 0;
  const lows = Array.from({ length: dimensions }, (_, d) => Math.min(...all.map((point) => point[d]!)));
  const highs = Array.from({ length: dimensions }, (_, d) => Math.max(...all.map((point) => point[d]!)));
  const scale = (point: Gains): number[] =>
    point.map((gain, d) => (gain - lows[d]!) / (highs[d]! - lows[d]! || 1));
  const reference = new Array<number>(dimensions).fill(-MARGIN);
  const scaled = candidates.map(scale);
  let front: Gains[] = nonDominated(known.map(scale), (point) => point);
  let volume = hypervolume(front, reference);
  const chosen: number[] = [];
  const left = new Set(candidates.keys());
  while (chosen.length < count && left.size > 0) {
    let best = -1;
    let most = Number.NEGATIVE_INFINITY;
    for (const i of left) {
      const gain = hypervolume([...front, scaled[i]!], reference) - volume;
      // Of those that add nothing, the closest to the front.
      const worth = gain > 1e-12 ? 1 + gain : closeness(scaled[i]!, front);
      if (worth > most) [best, most] = [i, worth];
    }
    chosen.push(best);
    left.delete(best);
    front = nonDominated([...front, scaled[best]!], (point) => point);
    volume = hypervolume(front, reference);
  }
  return chosen;
}

/** At most 0; how much would have to be added to every gain of the point for it to be on the front. */
function closeness(point: Gains, front: readonly Gains[]): number {
  return -Math.max(0, ...front.map((other) => Math.min(...other.map((gain, d) => gain - point[d]!))));
}
