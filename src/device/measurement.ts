/** The result of measuring one model on one device. Small, plain data. */
import { mean, median, medianAbsoluteDeviation, min, quantile } from 'simple-statistics';
import { z } from 'zod';
import type { Protocol } from './protocol.js';
import { earlyStoppingP90, halfWidth95, lag1Autocorrelation, outlierCounts } from './statistics.js';

export const flagSchema = z.enum([
  /** Run times still moved when the warm-up reached its cap. */
  'unstableWarmup',
  /** The sentinel had moved in most rounds of this model, also after doing them again. */
  'drift',
  /** The confidence interval was still too wide at the cap, and the fastest rounds did not agree. */
  'notConverged',
  /** In over 10 % of the samples the process did not get the processor all the time: `latencyMs` is processor time there. */
  'contention',
  /** Not clearly slower than calling the runtime with an empty model. */
  'belowOverhead',
]);
export type MeasurementFlag = z.infer<typeof flagSchema>;

/** All times in milliseconds of one run, the runtime's calling overhead taken off, except `rawMs` and `firstRunMs`. */
export const measurementSchema = z.strictObject({
  /** Median of the rounds' medians, of `undisturbedMs`. */
  latencyMs: z.number().positive(),
  /** The same of wall time, whatever disturbed it, with overhead. */
  rawMs: z.number().positive(),
  overheadMs: z.number().nonnegative(),
  /** By MLPerf's early-stopping rule over samples; null for fewer than 64. A sample is the mean of `repeats` runs. */
  p90Ms: z.number().nullable(),
  minMs: z.number(),
  /**
   * 5th percentile of the samples, of `undisturbedMs`: what the model takes while nothing shares its core. Absent in files
   * of before this was measured.
   */
  quietMs: z.number().positive().optional(),
  meanMs: z.number(),
  madMs: z.number().nonnegative(),
  /** 95 %, from the rounds' medians; null for one round. */
  ciMs: z.tuple([z.number(), z.number()]).nullable(),
  samples: z.number().int().positive(),
  rounds: z.number().int().positive(),
  repeats: z.number().int().positive(),
  lag1: z.number(),
  mildOutliers: z.number().int().nonnegative(),
  severeOutliers: z.number().int().nonnegative(),
  /** Processor time over wall time, all threads; null where the device cannot tell. */
  cpuPerWall: z.number().nullable(),
  /**
   * Share of all processors of the machine that other processes kept busy while this model was measured: 0 to 1. Absent
   * where the device cannot tell (browsers), and in files of before this was measured.
   */
  otherLoad: z.number().min(0).max(1).optional(),
  warmupRuns: z.number().int().positive(),
  firstRunMs: z.number().nonnegative(),
  /** The sentinel's median while this model was measured: how fast the machine was then. */
  sentinelMs: z.number().nonnegative(),
  /** The 5th percentile of the sentinel's samples: how fast the machine was while nothing disturbed it. Absent likewise. */
  quietSentinelMs: z.number().nonnegative().optional(),
  /** Rounds thrown away because the sentinel had moved. */
  redone: z.number().int().nonnegative(),
  flags: z.array(flagSchema),
  /** Types of operators that ran on the CPU though another provider was asked for; left out where there are none. */
  cpuOperators: z.array(z.string()).nonempty().optional(),
});
export type LatencyMeasurement = z.infer<typeof measurementSchema>;

/** One sample: means of `repeats` runs, in ms. */
export interface Sample {
  readonly wallMs: number;
  readonly cpuMs?: number;
}

export interface RawMeasurement {
  /** Samples of each round, in order. */
  readonly rounds: Rounds;
  readonly repeats: number;
  readonly overheadMs: number;
  /** The same while nothing disturbed it. */
  readonly quietOverheadMs: number;
  /** The shortest time that the device can tell from 0. */
  readonly resolutionMs: number;
  /** See `Bench.cpuBound`. */
  readonly cpuBound: boolean;
  readonly warmupRuns: number;
  readonly firstRunMs: number;
  readonly sentinelMs: number;
  readonly quietSentinelMs: number;
  readonly redone: number;
  readonly flags: readonly MeasurementFlag[];
  /** See `LatencyMeasurement`. */
  readonly otherLoad?: number | undefined;
  /** See `Bench.cpuOperators`. */
  readonly cpuOperators?: readonly string[];
}

const round6 = (value: number): number => Math.round(value * 1e6) / 1e6;

const isPreempted = ({ wallMs, cpuMs }: Sample): boolean => cpuMs !== undefined && cpuMs < 0.9 * wallMs;

/**
 * How long a sample would have taken had no other process had the processor meanwhile. Work of one thread that never
 * waits uses its processor all the time: where it used less than 90 % of the time, the rest was somebody else's, and
 * the processor time is what it took. Otherwise, and for work that may wait (threads, accelerators), wall time.
 */
export function undisturbedMs(sample: Sample, cpuBound: boolean): number {
  return cpuBound && isPreempted(sample) ? sample.cpuMs! : sample.wallMs;
}

type Rounds = readonly (readonly Sample[])[];

/** Of each round. */
const roundQuantiles = (rounds: Rounds, share: number, cpuBound: boolean): number[] =>
  rounds.map((samples) =>
    quantile(
      samples.map((sample) => undisturbedMs(sample, cpuBound)),
      share,
    ),
  );

/** Median of the rounds' medians, and the half-width of its 95 % interval, overhead included. */
export function roundStatistics(rounds: Rounds, cpuBound: boolean): { median: number; halfWidth: number } {
  const medians = roundQuantiles(rounds, 0.5, cpuBound);
  return { median: median(medians), halfWidth: halfWidth95(medians) };
}

/** Whether more rounds would tell little: see `Protocol.rounds`. */
export function isSettled(
  rounds: Rounds,
  { ciTarget, quiet }: Protocol['rounds'],
  cpuBound: boolean,
): boolean {
  const { median: latencyMs, halfWidth } = roundStatistics(rounds, cpuBound);
  if (halfWidth <= ciTarget * latencyMs) return true;
  if (quiet === undefined || rounds.length < quiet.rounds) return false;
  // Not medians: a round that was quiet for a part of its time has seen how fast the machine can be.
  const fastest = roundQuantiles(rounds, 0.25, cpuBound);
  fastest.sort((a, b) => a - b);
  return fastest[quiet.rounds - 1]! <= (1 + quiet.tolerance) * fastest[0]!;
}

const QUIET_QUANTILE = 0.05;

/** The time of a machine that nothing disturbs, from times of one that something may (decision 0020). */
export const quietest = (times: readonly number[]): number => quantile([...times], QUIET_QUANTILE);

/** Condenses raw samples. Throws RangeError where there are none. */
export function summarize(raw: RawMeasurement): LatencyMeasurement {
  const samples = raw.rounds.flat();
  if (samples.length === 0) throw new RangeError('Cannot summarize a measurement: it has no samples');
  const wall = samples.map(({ wallMs }) => wallMs);
  const { median: undisturbed, halfWidth } = roundStatistics(raw.rounds, raw.cpuBound);
  const { median: rawMs } = roundStatistics(raw.rounds, false);
  const net = (value: number, overheadMs = raw.overheadMs): number => round6(value - overheadMs);
  const positive = (netMs: number): number => Math.max(netMs, round6(raw.resolutionMs), 1e-6);
  const latencyMs = positive(net(undisturbed));
  const quietMs = quietest(samples.map((sample) => undisturbedMs(sample, raw.cpuBound)));
  const p90 = earlyStoppingP90(wall);
  const { mild, severe } = outlierCounts(wall);
  const cpu = samples.map(({ cpuMs }) => cpuMs).filter((value) => value !== undefined);
  const flags = new Set(raw.flags);
  const preempted = raw.cpuBound ? samples.filter(isPreempted).length : 0;
  if (preempted > 0.1 * samples.length) flags.add('contention');
  if (undisturbed < 2 * raw.overheadMs) flags.add('belowOverhead');
  const [operator, ...operators] = [...new Set(raw.cpuOperators)].sort();
  return {
    latencyMs,
    rawMs: Math.max(round6(rawMs), 1e-6),
    overheadMs: round6(raw.overheadMs),
    p90Ms: p90 === null ? null : net(p90),
    minMs: net(min(wall)),
    quietMs: positive(net(quietMs, raw.quietOverheadMs)),
    meanMs: net(mean(wall)),
    madMs: round6(medianAbsoluteDeviation(wall)),
    ciMs: Number.isFinite(halfWidth) ? [net(undisturbed - halfWidth), net(undisturbed + halfWidth)] : null,
    samples: samples.length,
    rounds: raw.rounds.length,
    repeats: raw.repeats,
    lag1: round6(lag1Autocorrelation(wall)),
    mildOutliers: mild,
    severeOutliers: severe,
    cpuPerWall: cpu.length === 0 ? null : round6(mean(cpu) / mean(wall)),
    ...(raw.otherLoad === undefined ? {} : { otherLoad: round6(raw.otherLoad) }),
    warmupRuns: raw.warmupRuns,
    firstRunMs: round6(raw.firstRunMs),
    sentinelMs: round6(raw.sentinelMs),
    quietSentinelMs: round6(raw.quietSentinelMs),
    redone: raw.redone,
    flags: [...flags].sort(),
    ...(operator === undefined ? {} : { cpuOperators: [operator, ...operators] }),
  };
}
