/**
 * Which results were taken while the machine was not as it mostly is. A job compares the fixed model (`sentinelMs`) with
 * its own beginning and cannot see that the machine was slower for all of it; a table can.
 */
import { median } from 'simple-statistics';
import type { LatencyMeasurement } from '../device/measurement.js';
import { within } from '../device/statistics.js';

type Drifting = Pick<LatencyMeasurement, 'sentinelMs' | 'quietSentinelMs' | 'flags'>;

/** How fast the machine was: the fixed model's time in ms, where it is known of a machine that nothing disturbs. */
export const speedOf = ({ sentinelMs, quietSentinelMs }: Omit<Drifting, 'flags'>): number =>
  quietSentinelMs ?? sentinelMs;

/** How fast the machine mostly was: median of the fixed model's times in ms. Throws Error for an empty list. */
export function usualSentinelMs(measurements: readonly Drifting[]): number {
  return median(measurements.map(speedOf));
}

/** Whether a result was flagged when it was taken, or is of a machine that was faster or slower than `usualMs` by over `tolerance`. */
export function hasDrifted(measurement: Drifting, usualMs: number, tolerance: number): boolean {
  return measurement.flags.includes('drift') || !within(speedOf(measurement), usualMs, tolerance);
}

/** Distance from the usual machine, as a share. */
export const driftOf = (measurement: Drifting, usualMs: number): number =>
  Math.abs(speedOf(measurement) / usualMs - 1);

/** Which of two results of the same model to keep: one without drift, else the nearer to the usual machine; of equals the first. */
export function steadier<T extends Drifting>(old: T, fresh: T, usualMs: number, tolerance: number): T {
  const [oldDrifted, freshDrifted] = [old, fresh].map((one) => hasDrifted(one, usualMs, tolerance));
  if (oldDrifted !== freshDrifted) return oldDrifted === true ? fresh : old;
  return driftOf(fresh, usualMs) < driftOf(old, usualMs) ? fresh : old;
}

/** With the flag that says so, where it is missing. */
export function flagged<T extends Drifting>(measurement: T): T {
  return measurement.flags.includes('drift')
    ? measurement
    : { ...measurement, flags: [...measurement.flags, 'drift' as const].sort() };
}
