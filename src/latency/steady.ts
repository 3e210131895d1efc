/**
 * Latencies at the speed that the machine usually has. Clocks of machines, and more so of virtual ones, go up and down by
 * several percent within minutes; the fixed model that is timed beside every other (`sentinelMs`) shows by how much.
 * Decision: docs/decisions/0019-latencies-at-the-usual-speed.md.
 */
import { median } from 'simple-statistics';

/** Of a measurement what tells its machine's speed. */
export interface Timed {
  readonly latencyMs: number;
  /** Absent, or 0, where it is not known. */
  readonly sentinelMs?: number | undefined;
  /** What was taken off for the layers around a block. */
  readonly contextMs?: number | undefined;
}

/** The fixed model's usual time in ms: the median over all measurements; undefined where none has one. */
export function usualSentinel(measurements: Iterable<Timed>): number | undefined {
  const times: number[] = [];
  for (const { sentinelMs } of measurements) if (sentinelMs) times.push(sentinelMs);
  return times.length === 0 ? undefined : median(times);
}

/** Least latency that a correction leaves. */
const LEAST_MS = 1e-6;

/** The latency in ms had the fixed model taken `usualMs` meanwhile. */
export function steadyMs(
  { latencyMs, sentinelMs, contextMs = 0 }: Timed,
  usualMs: number | undefined,
): number {
  if (usualMs === undefined || !sentinelMs) return latencyMs;
  return Math.max(LEAST_MS, ((latencyMs + contextMs) * usualMs) / sentinelMs - contextMs);
}
