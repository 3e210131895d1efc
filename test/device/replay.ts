/** Benches without a device: every time is given, so the protocol's decisions can be checked exactly. */
import { protocolByName, type Protocol } from '../../src/device/protocol.js';
import type { LatencyMeasurement } from '../../src/device/measurement.js';
import {
  sampleModels,
  type Bench,
  type Elapsed,
  type ProcessorTime,
  type Subject,
} from '../../src/device/sampler.js';

/** Run times by model; called with the number of the run, from 0. */
export type Trace = (run: number) => number;

export class ReplayBench implements Bench {
  readonly timerResolutionMs = 1e-4;
  cpuBound = true;
  readonly pauses: number[] = [];
  /** What ran, in order: model or `sentinel`, `null`. */
  readonly log: string[] = [];
  readonly closed: string[] = [];
  /** Total time that passed. */
  nowMs = 0;
  /** Left out where the device cannot tell. */
  processors?: () => ProcessorTime;
  /** Processor time over wall time of the models' runs. */
  cpuShare = 1;

  constructor(
    private readonly traces: ReadonlyMap<string, Trace>,
    /** May depend on the bench's time and pauses. */
    private readonly sentinelMs: (bench: ReplayBench, run: number) => number = () => 2,
    private readonly nullMs: Trace = () => 0,
  ) {}

  private subject(name: string, time: Trace): Subject {
    let run = 0;
    return {
      run: (repeats): Elapsed => {
        this.log.push(name);
        let wallMs = 0;
        for (let i = 0; i < repeats; i++) wallMs += time(run++);
        this.nowMs += wallMs;
        return { wallMs, cpuMs: wallMs * this.cpuShare };
      },
    };
  }

  readonly nullModel = this.subject('null', (run) => this.nullMs(run));
  readonly sentinel = this.subject('sentinel', (run) => this.sentinelMs(this, run));

  open(id: string): Subject {
    const trace = this.traces.get(id);
    if (trace === undefined) throw new Error('no such trace');
    return this.subject(id, trace);
  }

  close(id: string): void {
    this.closed.push(id);
  }

  pause(ms: number): Promise<void> {
    this.pauses.push(ms);
    this.nowMs += ms;
    return Promise.resolve();
  }
}

/** One run a sample, no minimum times. */
export function plainProtocol(change: Partial<Protocol> = {}): Protocol {
  const base = protocolByName('standard');
  return {
    ...base,
    warmup: { ...base.warmup, minMs: 0 },
    sample: { minMs: 0, timerResolutions: 1 },
    round: { rewarmRuns: 0, minSamples: 20, minMs: 0, maxSamples: 20 },
    rounds: { ...base.rounds, min: 5, max: 5 },
    sentinel: { every: 10, samples: 15, tolerance: 0.03, cooldownMs: 1000, maxRedo: 2 },
    ...change,
  };
}

export interface Replayed {
  readonly results: Map<string, LatencyMeasurement>;
  readonly failures: Map<string, string>;
}

export async function replay(
  bench: Bench,
  ids: readonly string[],
  protocol: Protocol,
  seed = 0,
): Promise<Replayed> {
  const results = new Map<string, LatencyMeasurement>();
  const failures = new Map<string, string>();
  await sampleModels(bench, ids, protocol, seed, {
    onResult: (id, measurement) => void results.set(id, measurement),
    onFailure: (id, reason) => void failures.set(id, reason),
  });
  return { results, failures };
}
