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
  /** Rounds go on until the 95 % interval's half-width is `ciTarget` of the latency, or one of the caps is reached. */
  rounds: z.strictObject({ min: count, max: count, ciTarget: fraction, maxModelMs: ms }),
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
 * For tables: about 0.5 s a block, 1.5 s a network of 20 ms, so that the 1255 blocks of ofa-mbv3 take 11 minutes where
 * intervals narrow at once and 16 where none does. Five rounds of 13 samples are the 64 that a p90 needs. A process that
 * has measured other models before has its processor awake: 150 ms warm up a model.
 */
const standard: Protocol = {
  protocolVersion: 1,
  name: 'standard',
  warmup: { minRuns: 10, minMs: 150, window: 5, tolerance: 0.03, maxMs: 3000 },
  sample: { minMs: 1, timerResolutions: 200 },
  round: { rewarmRuns: 3, minSamples: 13, minMs: 50, maxSamples: 400 },
  rounds: { min: 5, max: 7, ciTarget: 0.01, maxModelMs: 20_000 },
  sentinel: { every: 10, samples: 15, tolerance: 0.03, cooldownMs: 1000, maxRedo: 2 },
  interleave: 24,
  timeoutMs: 120_000,
};

/** For few models that matter, and devices that change their clock slowly: about 1.2 s a block. */
const thorough: Protocol = {
  protocolVersion: 1,
  name: 'thorough',
  warmup: { minRuns: 10, minMs: 500, window: 5, tolerance: 0.03, maxMs: 5000 },
  sample: { minMs: 1, timerResolutions: 200 },
  round: { rewarmRuns: 3, minSamples: 16, minMs: 100, maxSamples: 400 },
  rounds: { min: 5, max: 9, ciTarget: 0.01, maxModelMs: 20_000 },
  sentinel: { every: 10, samples: 15, tolerance: 0.03, cooldownMs: 2000, maxRedo: 2 },
  interleave: 24,
  timeoutMs: 120_000,
};

/** For demonstrations and tests: about 0.15 s a block; too few samples for a p90 of slow models. */
const quick: Protocol = {
  protocolVersion: 1,
  name: 'quick',
  warmup: { minRuns: 10, minMs: 50, window: 5, tolerance: 0.03, maxMs: 1000 },
  sample: { minMs: 1, timerResolutions: 200 },
  round: { rewarmRuns: 2, minSamples: 10, minMs: 20, maxSamples: 200 },
  rounds: { min: 3, max: 5, ciTarget: 0.03, maxModelMs: 3000 },
  sentinel: { every: 10, samples: 7, tolerance: 0.05, cooldownMs: 200, maxRedo: 1 },
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
