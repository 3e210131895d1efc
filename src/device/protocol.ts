/**
 * How latency is measured, as data: a table remembers the protocol its numbers were made with, and a remote device gets
 * it with its job. `sampler.ts` carries it out.
 */
import { z } from 'zod';
import { unknownName } from '../util/errors.js';

const count = z.number().int().positive();
const ms = z.number().nonnegative();
const fraction = z.number().positive().max(1);

export const protocolSchema = z.strictObject({
  /** Changes when the meaning of a figure does: numbers of different versions are never compared. */
  protocolVersion: z.literal(1),
  name: z.string(),
  /** Before sampling: at least `minRuns` and `minMs`, until two windows' medians agree; at most `maxMs`. */
  warmup: z.strictObject({ minRuns: count, minMs: ms, window: count, tolerance: fraction, maxMs: ms }),
  /** One sample repeats the run until it takes `minMs` and `timerResolutions` times the timer's resolution. */
  sample: z.strictObject({ minMs: ms, timerResolutions: count }),
  /** One visit to a model: unsampled runs first, then samples until both minima are reached, at most `maxSamples`. */
  round: z.strictObject({
    rewarmRuns: z.number().int().nonnegative(),
    minSamples: count,
    minMs: ms,
    maxSamples: count,
  }),
  /**
   * Rounds go on until the 95 % interval's half-width is `ciTarget` of the latency, or the `quiet.rounds` fastest rounds
   * differ by at most `quiet.tolerance` (decision 0021), or one of the caps is reached.
   */
  rounds: z.strictObject({
    min: count,
    max: count,
    ciTarget: fraction,
    quiet: z.strictObject({ rounds: count, tolerance: fraction }).optional(),
    maxModelMs: ms,
  }),
  /** A fixed model measured between others: tells a slower machine from a slower model. */
  sentinel: z.strictObject({
    every: count,
    samples: count,
    tolerance: fraction,
    cooldownMs: ms,
    maxRedo: z.number().int().nonnegative(),
  }),
  /** How many models take turns; they stay loaded together. */
  interleave: count,
  /** Without a sign of life for so long, a device is taken to hang. */
  timeoutMs: z.number().positive(),
});
export type Protocol = z.infer<typeof protocolSchema>;

/**
 * For tables: half a second a block of 1 ms where nothing disturbs it, 1.2 s where something always does. Visits are short and
 * many: what neighbours do to a machine lasts for tenths of a second, so that samples of one visit say little more than
 * one of them, and the more visits, the surer some are of quiet moments. 13 rounds of 5 samples are the 64 that a p90
 * needs. A process that has measured other models before has its processor awake: 150 ms warm up a model.
 */
const standard: Protocol = {
  protocolVersion: 1,
  name: 'standard',
  warmup: { minRuns: 10, minMs: 150, window: 5, tolerance: 0.03, maxMs: 3000 },
  sample: { minMs: 1, timerResolutions: 200 },
  round: { rewarmRuns: 2, minSamples: 5, minMs: 10, maxSamples: 400 },
  rounds: { min: 13, max: 60, ciTarget: 0.01, quiet: { rounds: 6, tolerance: 0.02 }, maxModelMs: 20_000 },
  sentinel: { every: 6, samples: 4, tolerance: 0.03, cooldownMs: 500, maxRedo: 2 },
  interleave: 24,
  timeoutMs: 120_000,
};

/** For few models that matter, and devices that change their clock slowly: about 2 s a block. */
const thorough: Protocol = {
  protocolVersion: 1,
  name: 'thorough',
  warmup: { minRuns: 10, minMs: 500, window: 5, tolerance: 0.03, maxMs: 5000 },
  sample: { minMs: 1, timerResolutions: 200 },
  round: { rewarmRuns: 3, minSamples: 8, minMs: 30, maxSamples: 400 },
  rounds: { min: 20, max: 90, ciTarget: 0.01, quiet: { rounds: 8, tolerance: 0.015 }, maxModelMs: 40_000 },
  sentinel: { every: 6, samples: 7, tolerance: 0.03, cooldownMs: 2000, maxRedo: 2 },
  interleave: 24,
  timeoutMs: 120_000,
};

/** For demonstrations and tests: about 0.15 s a block; too few samples for a p90 of slow models. */
const quick: Protocol = {
  protocolVersion: 1,
  name: 'quick',
  warmup: { minRuns: 10, minMs: 50, window: 5, tolerance: 0.03, maxMs: 1000 },
  sample: { minMs: 1, timerResolutions: 200 },
  round: { rewarmRuns: 1, minSamples: 4, minMs: 8, maxSamples: 200 },
  rounds: { min: 7, max: 14, ciTarget: 0.03, quiet: { rounds: 3, tolerance: 0.03 }, maxModelMs: 3000 },
  sentinel: { every: 6, samples: 3, tolerance: 0.05, cooldownMs: 200, maxRedo: 1 },
  interleave: 24,
  timeoutMs: 60_000,
};

export const protocols: ReadonlyMap<string, Protocol> = new Map(
  [standard, thorough, quick].map((protocol) => [protocol.name, protocol]),
);

/** Throws UserError naming the known ones. */
export function protocolByName(name: string): Protocol {
  const protocol = protocols.get(name);
  if (protocol === undefined) throw unknownName('measuring protocol', name, [...protocols.keys()]);
  return protocol;
}
