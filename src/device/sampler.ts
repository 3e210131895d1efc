/**
 * Carries out the timing protocol on anything that can be run and timed: sessions of a runtime, or a replayed trace. It
 * reads no clock itself, so a replay gives the same result every time.
 *
 * Why interleaved: random order over models, round by round, turns slow changes of the machine into noise that the
 * rounds' spread shows (Google Benchmark's random interleaving). Why a sentinel: it tells when the machine changed.
 */
import { median } from 'simple-statistics';
import { createRandom, type Random } from '../util/random.js';
import {
  isSettled,
  quietest,
  summarize,
  undisturbedMs,
  type LatencyMeasurement,
  type MeasurementFlag,
  type Sample,
} from './measurement.js';
import type { Protocol } from './protocol.js';
import { driftTolerance, isSteady, within } from './statistics.js';

/** Wall and, where known, processor time of a call, in ms. */
export type Elapsed = Sample;

/** A model that is loaded and can be run. */
export interface Subject {
  /** Runs `repeats` times back to back and says how long all of them took. */
  run(repeats: number): Elapsed | Promise<Elapsed>;
}

/** A device with its runtime, as the sampler sees it. */
export interface Bench {
  readonly timerResolutionMs: number;
  /** Whether a run is work of one thread of this processor that never waits, so that processor time can stand for it. */
  readonly cpuBound: boolean;
  /** As good as no work: its time is the price of a call. */
  readonly nullModel: Subject;
  /** Fixed work of a few milliseconds. */
  readonly sentinel: Subject;
  /** Loads a model. What it throws concerns that model only. */
  open(id: string): Subject | Promise<Subject>;
  close(id: string): void | Promise<void>;
  /** Types of the operators of an open model that run on the CPU though another provider was asked for. */
  cpuOperators?(id: string): readonly string[];
  pause(ms: number): Promise<void>;
  /** See `BenchHost`. */
  processors?(): ProcessorTime;
}

/** Processor time since some moment, in ms. */
export interface ProcessorTime {
  /** Of other processes. */
  readonly othersMs: number;
  /** Of all processors, idle or not. */
  readonly totalMs: number;
}

/** Share of the processors that others kept busy between two readings; undefined where no time is known to have passed. */
export function otherLoad(
  from: ProcessorTime | undefined,
  to: ProcessorTime | undefined,
): number | undefined {
  if (from === undefined || to === undefined || to.totalMs <= from.totalMs) return undefined;
  return Math.min(1, Math.max(0, (to.othersMs - from.othersMs) / (to.totalMs - from.totalMs)));
}

export interface SamplerEvents {
  /** Sign of life, before anything that may take long; `id` is the model that is to blame if nothing follows. */
  onStep?(id: string, step: 'load' | 'warmup' | 'round'): void | Promise<void>;
  /** What a round of a model came to, before it is known whether it counts: for people who watch. */
  onRound?(id: string, medianMs: number): void;
  onResult(id: string, measurement: LatencyMeasurement): void | Promise<void>;
  onFailure(id: string, reason: string): void | Promise<void>;
}

export interface Warmup {
  readonly runs: number;
  readonly firstRunMs: number;
  /** Of the last window. */
  readonly runMs: number;
  readonly stable: boolean;
}

async function timed(subject: Subject, repeats: number): Promise<Elapsed> {
  const elapsed = await subject.run(repeats);
  // Also keeps the loops below from waiting forever for time to pass.
  if (elapsed.wallMs >= 0) return elapsed;
  throw new RangeError(`Cannot time a run: the time must be a number of at least 0: it is ${elapsed.wallMs}`);
}

/** More runs than fit into the step of any clock: a run takes a microsecond at least. */
const MOST_WARMUP_REPEATS = 2 ** 16;

/**
 * Runs until the protocol's warm-up rule is met. `cpuBound`: see `Bench`. Where the clock's steps are too coarse for the
 * rule's tolerance, what is timed is several runs, twice as many each time until they are long enough.
 */
export async function warmUp(
  subject: Subject,
  rule: Protocol['warmup'],
  cpuBound = false,
  timerResolutionMs = 0,
): Promise<Warmup> {
  const tellingMs = timerResolutionMs / rule.tolerance;
  const recent: number[] = [];
  let repeats = 1;
  let runs = 0;
  let totalMs = 0;
  let firstRunMs = 0;
  for (;;) {
    const elapsed = await timed(subject, repeats);
    const { wallMs } = elapsed;
    if (runs === 0) firstRunMs = wallMs;
    runs += repeats;
    totalMs += wallMs;
    if (wallMs < tellingMs && totalMs < rule.maxMs && repeats < MOST_WARMUP_REPEATS) {
      repeats *= 2;
      continue;
    }
    recent.push(undisturbedMs(elapsed, cpuBound) / repeats);
    if (recent.length > 2 * rule.window) recent.shift();
    const enough = runs >= rule.minRuns && totalMs >= rule.minMs;
    const stable = enough && isSteady(recent, rule.window, rule.tolerance);
    if (stable || totalMs >= rule.maxMs) {
      return { runs, firstRunMs, runMs: median(recent.slice(-rule.window)), stable };
    }
  }
}

/** Runs per sample, so that one sample is long enough for the timer. */
export function repeatsFor(
  runMs: number,
  bench: Pick<Bench, 'timerResolutionMs'>,
  protocol: Protocol,
): number {
  const { minMs, timerResolutions } = protocol.sample;
  const wantedMs = Math.max(minMs, timerResolutions * bench.timerResolutionMs);
  return Math.max(1, Math.ceil(wantedMs / Math.max(runMs, 1e-6)));
}

async function takeSample(subject: Subject, repeats: number): Promise<Sample> {
  const { wallMs, cpuMs } = await timed(subject, repeats);
  return { wallMs: wallMs / repeats, ...(cpuMs === undefined ? {} : { cpuMs: cpuMs / repeats }) };
}

/** One visit to a model. */
async function takeRound(subject: Subject, repeats: number, protocol: Protocol): Promise<Sample[]> {
  const { rewarmRuns, minSamples, minMs, maxSamples } = protocol.round;
  if (rewarmRuns > 0) await subject.run(rewarmRuns);
  const samples: Sample[] = [];
  let totalMs = 0;
  while ((samples.length < minSamples || totalMs < minMs) && samples.length < maxSamples) {
    const sample = await takeSample(subject, repeats);
    samples.push(sample);
    totalMs += sample.wallMs * repeats;
  }
  return samples;
}

async function takeSamples(
  subject: Subject,
  repeats: number,
  count: number,
  cpuBound: boolean,
): Promise<number[]> {
  const samples: number[] = [];
  for (let i = 0; i < count; i++) samples.push(undisturbedMs(await takeSample(subject, repeats), cpuBound));
  return samples;
}

/** A model on its way through the rounds. */
interface Candidate {
  readonly id: string;
  readonly subject: Subject;
  readonly warmup: Warmup;
  readonly repeats: number;
  readonly rounds: Sample[][];
  /** The sentinel's median after each round. */
  readonly sentinelMs: number[];
  /** How often the sentinel had been read before. */
  readonly since: number;
  readonly flags: Set<MeasurementFlag>;
  /** When it was opened. */
  readonly opened: ProcessorTime | undefined;
  redone: number;
  /** Rounds that count though the sentinel had moved. */
  unsteady: number;
}

/** However slow a model is. */
const FEWEST_ROUNDS = 3;

/** Rounds that a job may do again, as a share of its rounds: on a machine that is never steady it must end all the same. */
const REDONE_SHARE = 0.05;

/** One job: the models of `ids` take turns until each is measured. */
class Session {
  /** Samples of each reading of the sentinel that counts. */
  private readonly readings: (readonly number[])[] = [];
  /** How fast the machine was by each of them, and by the first one. */
  private readonly sentinelHistory: number[] = [];
  private sentinelRepeats = 1;
  /** Samples of the null model, of the beginning and with each reading of the sentinel. */
  private readonly overheads: number[] = [];
  private nullRepeats = 1;
  /** How often a few models were given a round, and how often it was done again. */
  private stretches = 0;
  private redone = 0;
  private readonly random: Random;

  constructor(
    private readonly bench: Bench,
    private readonly protocol: Protocol,
    private readonly events: SamplerEvents,
    seed: number,
  ) {
    this.random = createRandom(seed, 'measuring order');
  }

  async calibrate(): Promise<void> {
    const { bench, protocol } = this;
    const empty = await this.warmUp(bench.nullModel);
    this.nullRepeats = repeatsFor(empty.runMs, bench, protocol);
    await this.readOverhead(21);
    const sentinel = await this.warmUp(bench.sentinel);
    this.sentinelRepeats = repeatsFor(sentinel.runMs, bench, protocol);
    this.sentinelHistory.push(quietest(await this.readSentinel()));
  }

  private warmUp(subject: Subject): Promise<Warmup> {
    const { bench, protocol } = this;
    return warmUp(subject, protocol.warmup, bench.cpuBound, bench.timerResolutionMs);
  }

  private async readOverhead(count: number): Promise<void> {
    const { bench, nullRepeats } = this;
    this.overheads.push(...(await takeSamples(bench.nullModel, nullRepeats, count, bench.cpuBound)));
  }

  private async readSentinel(): Promise<number[]> {
    const { bench, sentinelRepeats, protocol } = this;
    await this.readOverhead(1);
    // As a round of any model: what runs cold says nothing of one that runs warm.
    if (protocol.round.rewarmRuns > 0) await bench.sentinel.run(protocol.round.rewarmRuns);
    return takeSamples(bench.sentinel, sentinelRepeats, protocol.sentinel.samples, bench.cpuBound);
  }

  /** Calls `work`; what it throws is the model's failure and nobody else's. */
  private async attempt<T>(id: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      await this.events.onFailure(id, error instanceof Error ? error.message : String(error));
      await this.bench.close(id);
      return undefined;
    }
  }

  open(id: string): Promise<Candidate | undefined> {
    const { bench, protocol, events } = this;
    return this.attempt(id, async () => {
      await events.onStep?.(id, 'load');
      const subject = await bench.open(id);
      await events.onStep?.(id, 'warmup');
      const warmup = await this.warmUp(subject);
      const repeats = repeatsFor(warmup.runMs, bench, protocol);
      const flags = new Set<MeasurementFlag>(warmup.stable ? [] : ['unstableWarmup']);
      return {
        id,
        subject,
        warmup,
        repeats,
        rounds: [],
        sentinelMs: [],
        since: this.readings.length,
        flags,
        opened: bench.processors?.(),
        redone: 0,
        unsteady: 0,
      };
    });
  }

  /**
   * One round over a few models, then the sentinel. Where it moved, the round is done again after a pause; where it
   * keeps moving, the last try counts and is flagged. Returns the models that are still alive.
   */
  private async stretch(candidates: readonly Candidate[]): Promise<Candidate[]> {
    const { tolerance, cooldownMs, maxRedo } = this.protocol.sentinel;
    this.stretches++;
    for (let redo = 0; ; redo++) {
      const taken: { candidate: Candidate; samples: Sample[] }[] = [];
      for (const candidate of candidates) {
        const samples = await this.attempt(candidate.id, async () => {
          await this.events.onStep?.(candidate.id, 'round');
          return takeRound(candidate.subject, candidate.repeats, this.protocol);
        });
        if (samples === undefined) continue;
        taken.push({ candidate, samples });
        this.events.onRound?.(candidate.id, median(samples.map(({ wallMs }) => wallMs)));
      }
      const sentinel = await this.readSentinel();
      const reading = quietest(sentinel);
      const { sentinelHistory: history } = this;
      const steady = within(reading, median(history), driftTolerance(history, tolerance));
      const patience = this.redone < maxRedo + REDONE_SHARE * this.stretches;
      if (steady || redo >= maxRedo || !patience) {
        history.push(reading);
        this.readings.push(sentinel);
        for (const { candidate, samples } of taken) {
          candidate.rounds.push(samples);
          candidate.sentinelMs.push(median([...sentinel]));
          if (!steady) candidate.unsteady++;
        }
        return taken.map(({ candidate }) => candidate);
      }
      candidates = taken.map(({ candidate }) => candidate);
      for (const candidate of candidates) candidate.redone++;
      this.redone++;
      await this.bench.pause(cooldownMs);
    }
  }

  /** One round over all, in a new random order. Returns those that need another. */
  async round(candidates: readonly Candidate[]): Promise<Candidate[]> {
    const order = this.random.shuffle(candidates);
    const unfinished: Candidate[] = [];
    const { every } = this.protocol.sentinel;
    for (let start = 0; start < order.length; start += every) {
      for (const candidate of await this.stretch(order.slice(start, start + every))) {
        if (this.isFinished(candidate)) await this.report(candidate);
        else unfinished.push(candidate);
      }
    }
    return unfinished;
  }

  private isFinished({ rounds, repeats, flags }: Candidate): boolean {
    const { min, max, maxModelMs } = this.protocol.rounds;
    const { length } = rounds;
    const spentMs = rounds.flat().reduce((total, { wallMs }) => total + wallMs * repeats, 0);
    // A model too slow for so many rounds has long ones, each of which sees what the machine usually does.
    const capped = length >= max || (length >= FEWEST_ROUNDS && spentMs >= maxModelMs);
    if (length < min && !capped) return false;
    const settled = isSettled(rounds, this.protocol.rounds, this.bench.cpuBound);
    if (capped && !settled) flags.add('notConverged');
    return capped || settled;
  }

  private async report(candidate: Candidate): Promise<void> {
    const { id, rounds, repeats, warmup, sentinelMs, since, redone, unsteady, flags, opened } = candidate;
    // Neighbours that come and go disturb a round now and then; quiet samples and medians do without it.
    if (unsteady > rounds.length / 2) flags.add('drift');
    const measurement = summarize({
      rounds,
      repeats,
      overheadMs: median(this.overheads),
      quietOverheadMs: quietest(this.overheads),
      resolutionMs: this.bench.timerResolutionMs / repeats,
      cpuBound: this.bench.cpuBound,
      warmupRuns: warmup.runs,
      firstRunMs: warmup.firstRunMs,
      sentinelMs: median(sentinelMs),
      // Also from the readings after other models' rounds: clocks change slowly, and few samples are of quiet moments.
      quietSentinelMs: quietest(this.readings.slice(since).flat()),
      redone,
      flags: [...flags],
      otherLoad: otherLoad(opened, this.bench.processors?.()),
      cpuOperators: this.bench.cpuOperators?.(id) ?? [],
    });
    await this.events.onResult(id, measurement);
    await this.bench.close(id);
  }
}

/**
 * Measures the models one after the other's rounds, in an order drawn from `seed`; each is reported as soon as it is
 * done. Throws only what the bench's null model and sentinel throw.
 */
export async function sampleModels(
  bench: Bench,
  ids: readonly string[],
  protocol: Protocol,
  seed: number,
  events: SamplerEvents,
): Promise<void> {
  const session = new Session(bench, protocol, events, seed);
  await session.calibrate();
  let candidates: Candidate[] = [];
  for (const id of ids) {
    const candidate = await session.open(id);
    if (candidate !== undefined) candidates.push(candidate);
  }
  while (candidates.length > 0) candidates = await session.round(candidates);
}
