/**
 * Latencies at the speed that the machine usually has. Machines are slower for milliseconds, when somebody has the other
 * half of their core, and for minutes, when their clock goes down; virtual ones are both. What a model took while nothing
 * disturbed it (`quietMs`) can be measured again to a percent where medians cannot, and the fixed model that is timed
 * beside every other shows the rest. Decisions: docs/decisions/0019-latencies-at-the-usual-speed.md, 0020-quiet-samples.md.
 */
import { median } from 'simple-statistics';

/** Of a measurement what tells its machine's speed. */
export interface Timed {
  readonly latencyMs: number;
  /** Absent, or 0, where it is not known. */
  readonly sentinelMs?: number | undefined;
  /** What was taken off for the layers around a block. */
  readonly contextMs?: number | undefined;
  /** The same three of a machine that nothing disturbs, where they are known. */
  readonly quietMs?: number | undefined;
  readonly quietSentinelMs?: number | undefined;
  readonly contextQuietMs?: number | undefined;
}

/** What a machine mostly is like. */
export interface UsualSpeed {
  /** The fixed model's time in ms: of `quietSentinelMs` where latencies are `quietMs`. */
  readonly sentinelMs: number;
  /** By how much latencies are longer than `quietMs`, disturbed as they usually are; undefined where they are `latencyMs`. */
  readonly disturbance: number | undefined;
}

const isQuiet = ({ quietMs, quietSentinelMs }: Timed): boolean => quietMs !== undefined && !!quietSentinelMs;

/** Medians over all measurements; undefined where nobody knows. Quiet times count where all measurements have them. */
export function usualSpeed(measurements: Iterable<Timed>): UsualSpeed | undefined {
  const list = [...measurements];
  const known = list.filter((one) => one.sentinelMs);
  if (known.length === 0) return undefined;
  if (!list.every(isQuiet))
    return { sentinelMs: median(known.map((one) => one.sentinelMs!)), disturbance: undefined };
  const ratios = list.map(
    ({ latencyMs, contextMs = 0, quietMs, contextQuietMs = 0 }) =>
      (latencyMs + contextMs) / (quietMs! + contextQuietMs),
  );
  return { sentinelMs: median(list.map((one) => one.quietSentinelMs!)), disturbance: median(ratios) };
}

/** Least latency that a correction leaves. */
const LEAST_MS = 1e-6;

/** The latency in ms had the machine been as it usually is meanwhile. */
export function steadyMs(measured: Timed, usual: UsualSpeed | undefined): number {
  const { latencyMs, sentinelMs, contextMs = 0, quietMs, quietSentinelMs, contextQuietMs = 0 } = measured;
  if (usual?.disturbance !== undefined && quietMs !== undefined && quietSentinelMs) {
    const atUsualClock = ((quietMs + contextQuietMs) * usual.sentinelMs) / quietSentinelMs - contextQuietMs;
    return Math.max(LEAST_MS, atUsualClock * usual.disturbance);
  }
  if (usual === undefined || usual.disturbance !== undefined || !sentinelMs) return latencyMs;
  return Math.max(LEAST_MS, ((latencyMs + contextMs) * usual.sentinelMs) / sentinelMs - contextMs);
}
