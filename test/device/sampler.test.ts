import { readFileSync } from 'node:fs';
import { median } from 'simple-statistics';
import { describe, expect, it } from 'vitest';
import { measurementSchema } from '../../src/device/measurement.js';
import { protocolByName, protocols, protocolSchema } from '../../src/device/protocol.js';
import { warmUp, type Bench, type Subject } from '../../src/device/sampler.js';
import { createRandom } from '../../src/util/random.js';
import { sharedData } from '../support/sharedData.js';
import { plainProtocol, replay, ReplayBench, type Trace } from './replay.js';

const constant =
  (ms: number): Trace =>
  () =>
    ms;

const fpga = sharedData('ofa-mbv3-fpga-samples.csv');

describe.skipIf(fpga === undefined)('replay of a recorded accelerator', () => {
  const traces = new Map(
    readFileSync(fpga ?? '/dev/null', 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => line.split(',') as [string, string, string])
      .filter(([run]) => run === 'run2_all')
      .map(([, block, samples]) => [block, samples.split(' ').map((us) => Number(us) / 1000)] as const),
  );
  const bench = (): ReplayBench =>
    new ReplayBench(
      new Map([...traces].map(([block, times]) => [block, (run: number): number => times[run]!])),
    );

  /** The traces have no room for half a second of warm-up. */
  const warm20 = plainProtocol({ warmup: { ...plainProtocol().warmup, minRuns: 20 } });

  it('finds that 97 blocks were warm after at most 14 runs', async () => {
    expect(traces.size).toBe(97);
    let astray = 0;
    for (const times of traces.values()) {
      let run = 0;
      const warm = await warmUp({ run: () => ({ wallMs: times[run++]! }) }, plainProtocol().warmup);
      expect(warm.stable).toBe(true);
      expect(warm.runs).toBeGreaterThanOrEqual(10);
      // The last window is what showed it: it belongs to the steady part already.
      expect(warm.runs - plainProtocol().warmup.window).toBeLessThanOrEqual(14);
      if (Math.abs(warm.runMs / median([...times]) - 1) > 0.03) astray++;
      expect(warm.firstRunMs).toBe(times[0]);
    }
    // Some stay on a first plateau for longer: why the presets also ask for a minimum time.
    expect(astray).toBeLessThanOrEqual(4);
  });

  it('has the 500-run median within 0.6 % after 100 samples, on every block', async () => {
    const { results } = await replay(bench(), [...traces.keys()], warm20);
    expect(results.size).toBe(97);
    for (const [block, { latencyMs, samples }] of results) {
      expect(samples).toBe(100);
      expect(Math.abs(latencyMs / median([...traces.get(block)!]) - 1)).toBeLessThanOrEqual(0.006);
    }
  });

  it('gives the same numbers again', async () => {
    const ids = [...traces.keys()];
    const first = await replay(bench(), ids, plainProtocol(), 3);
    const second = await replay(bench(), ids, plainProtocol(), 3);
    expect(second.results).toEqual(first.results);
  });
});

describe('sampleModels', () => {
  it('keeps the presets valid', () => {
    for (const protocol of protocols.values()) expect(protocolSchema.parse(protocol)).toEqual(protocol);
    expect(() => protocolByName('hasty')).toThrow('known are quick, standard, thorough');
  });

  it('takes the price of a call off', async () => {
    const bench = new ReplayBench(new Map([['a', constant(3)]]), () => 2, constant(0.25));
    const { results } = await replay(bench, ['a'], plainProtocol());
    const a = measurementSchema.parse(results.get('a'));
    expect(a).toMatchObject({
      latencyMs: 2.75,
      rawMs: 3,
      overheadMs: 0.25,
      minMs: 2.75,
      p90Ms: 2.75,
      flags: [],
    });
    expect(a).toMatchObject({ rounds: 5, samples: 100, ciMs: [2.75, 2.75], sentinelMs: 2, madMs: 0 });
  });

  it('never reports 0, and flags what is not clearly above the price of a call', async () => {
    const bench = new ReplayBench(new Map([['a', constant(0.2)]]), () => 2, constant(0.25));
    const { results } = await replay(bench, ['a'], plainProtocol());
    expect(results.get('a')!.latencyMs).toBeGreaterThan(0);
    expect(results.get('a')!.flags).toEqual(['belowOverhead']);
  });

  it('repeats short runs until a sample is long enough', async () => {
    const protocol = plainProtocol({ sample: { minMs: 1, timerResolutions: 200 } });
    const { results } = await replay(new ReplayBench(new Map([['a', constant(0.03)]])), ['a'], protocol);
    expect(results.get('a')).toMatchObject({ repeats: 34, latencyMs: 0.03 });
  });

  it('measures runs that are shorter than the steps of the clock', async () => {
    // As in a page that is not isolated: steps of 0.1 ms, runs of 7 µs and an empty call of 2 µs.
    const stepMs = 0.1;
    let nowMs = 0;
    const read = (): number => Math.floor(nowMs / stepMs) * stepMs;
    let longest = 0;
    const subject = (ms: number): Subject => ({
      run(repeats) {
        longest = Math.max(longest, repeats);
        const start = read();
        nowMs += repeats * ms;
        return { wallMs: read() - start };
      },
    });
    const bench: Bench = {
      timerResolutionMs: stepMs,
      cpuBound: false,
      nullModel: subject(0.002),
      sentinel: subject(2),
      open: () => subject(0.009),
      close: () => undefined,
      pause: () => Promise.resolve(),
    };
    const { results } = await replay(bench, ['a'], protocolByName('quick'));
    const { latencyMs, overheadMs, repeats, flags } = results.get('a')!;
    expect(overheadMs).toBeCloseTo(0.002, 4);
    expect(latencyMs).toBeCloseTo(0.007, 4);
    expect(flags).toEqual([]);
    // A sample of 200 steps: 20 ms.
    expect(Math.abs(repeats * 0.009 - 20)).toBeLessThan(1);
    expect(longest).toBeLessThan(20_000);
  });

  it('warms up until times settle, and says when they never do', async () => {
    const rule = { ...plainProtocol().warmup, maxMs: 200 };
    // 20 runs that fall, then flat.
    let run = 0;
    const falling = await warmUp({ run: () => ({ wallMs: Math.max(1, 3 - 0.1 * run++) }) }, rule);
    expect(falling).toMatchObject({ stable: true, firstRunMs: 3 });
    expect(falling.runs).toBeGreaterThan(20);
    let other = 0;
    const jumping = await warmUp({ run: () => ({ wallMs: 2 ** Math.floor(other++ / 5) }) }, rule);
    expect(jumping.stable).toBe(false);
    const bench = new ReplayBench(new Map([['a', (n) => 1.01 ** n]]));
    const capped = plainProtocol({ warmup: { ...rule, maxMs: 50 } });
    expect((await replay(bench, ['a'], capped)).results.get('a')!.flags).toContain('unstableWarmup');
  });

  it('interleaves models in an order that changes from round to round and follows the seed', async () => {
    const traces = new Map(['a', 'b', 'c', 'd', 'e', 'f'].map((id) => [id, constant(1)]));
    const visits = async (seed: number): Promise<string[]> => {
      const bench = new ReplayBench(traces);
      await replay(bench, [...traces.keys()], plainProtocol(), seed);
      const order = bench.log.filter((name) => traces.has(name)).slice(-5 * 6 * 20);
      return Array.from({ length: 5 }, (_, r) =>
        order
          .slice(r * 120, (r + 1) * 120)
          .filter((_, i) => i % 20 === 0)
          .join(''),
      );
    };
    const rounds = await visits(1);
    for (const round of rounds) expect(Array.from(round).sort().join('')).toBe('abcdef');
    expect(new Set(rounds).size).toBeGreaterThan(1);
    expect(await visits(1)).toEqual(rounds);
    expect(await visits(2)).not.toEqual(rounds);
  });

  it('goes on until the interval is narrow, or says that it is not', async () => {
    const random = createRandom('noise');
    const noisy =
      (spread: number): Trace =>
      () =>
        5 * (1 + spread * (random.float() - 0.5));
    const protocol = plainProtocol({ rounds: { min: 3, max: 9, ciTarget: 0.01, maxModelMs: 1e9 } });
    const bench = new ReplayBench(
      new Map([
        ['calm', noisy(0.005)],
        // Each round at another level.
        ['wild', (run) => [5, 9, 4, 8, 6][Math.floor(run / 20) % 5]!],
      ]),
    );
    const { results } = await replay(bench, ['calm', 'wild'], protocol);
    expect(results.get('calm')).toMatchObject({ rounds: 3, flags: [] });
    expect(results.get('wild')!.rounds).toBe(9);
    expect(results.get('wild')!.flags).toContain('notConverged');
  });

  it('ends when the fastest rounds agree, however far others are from them', async () => {
    const rounds = {
      min: 4,
      max: 40,
      ciTarget: 0.01,
      quiet: { rounds: 3, tolerance: 0.02 },
      maxModelMs: 1e9,
    };
    // Levels that last as long as a round, 20 runs; warm-up ends within the first or second.
    const levels =
      (...ms: number[]): Trace =>
      (run) =>
        ms[Math.floor(run / 20) % ms.length]!;
    const bench = new ReplayBench(
      new Map([
        ['disturbed', levels(5.2, 6, 5, 7, 6.5, 5.05, 8, 5.08, 9, 10)],
        ['never quiet', (run) => 5 * 1.03 ** ((Math.floor(run / 20) * 7) % 41)],
      ]),
    );
    const { results } = await replay(bench, ['disturbed', 'never quiet'], plainProtocol({ rounds }));
    const disturbed = results.get('disturbed')!;
    expect(disturbed.flags).not.toContain('notConverged');
    expect(disturbed.rounds).toBeGreaterThan(4);
    expect(disturbed.rounds).toBeLessThan(12);
    expect(disturbed.quietMs).toBeCloseTo(5, 1);
    expect(results.get('never quiet')).toMatchObject({ rounds: 40 });
    expect(results.get('never quiet')!.flags).toContain('notConverged');
  });

  it('gives a model that is too slow for all rounds three', async () => {
    const rounds = { min: 9, max: 9, ciTarget: 0.01, maxModelMs: 100 };
    const bench = new ReplayBench(
      new Map([
        ['slow', constant(60)],
        ['fast', constant(0.5)],
      ]),
    );
    const { results } = await replay(bench, ['slow', 'fast'], plainProtocol({ rounds }));
    expect(results.get('slow')).toMatchObject({ rounds: 3, latencyMs: 60, flags: [] });
    expect(results.get('fast')!.rounds).toBe(9);
  });

  it('does a round again after a pause when the sentinel has moved, without a flag when that helps', async () => {
    // Between 600 and the first pause the machine is a third slower.
    const slow = (bench: ReplayBench): boolean => bench.nowMs > 600 && bench.pauses.length === 0;
    const bench: ReplayBench = new ReplayBench(new Map([['a', () => (slow(bench) ? 4 : 3)]]), (b) =>
      slow(b) ? 2.7 : 2,
    );
    const { results } = await replay(
      bench,
      ['a'],
      plainProtocol({ rounds: { min: 9, max: 9, ciTarget: 0.01, maxModelMs: 1e9 } }),
    );
    expect(bench.pauses).toEqual([plainProtocol().sentinel.cooldownMs]);
    expect(results.get('a')).toMatchObject({ latencyMs: 3, redone: 1, rounds: 9, meanMs: 3, flags: [] });
  });

  it('ends in time on a machine that is never steady', async () => {
    let reading = 0;
    const bench = new ReplayBench(new Map([['a', constant(3)]]), () => [1, 2, 4, 8][reading++ % 4]!);
    const rounds = { min: 20, max: 20, ciTarget: 0.01, maxModelMs: 1e9 };
    const sentinel = { ...plainProtocol().sentinel, samples: 1 };
    const { results } = await replay(bench, ['a'], plainProtocol({ rounds, sentinel }));
    expect(results.get('a')!.redone).toBeLessThanOrEqual(sentinel.maxRedo + 2);
    expect(results.get('a')!.flags).toContain('drift');
  });

  it('flags drift that stays', async () => {
    const bench = new ReplayBench(new Map([['a', constant(3)]]), (b) => (b.nowMs > 300 ? 2.7 : 2));
    const { results } = await replay(bench, ['a'], plainProtocol());
    expect(results.get('a')!.flags).toEqual(['drift']);
    expect(results.get('a')!.redone).toBeGreaterThanOrEqual(2);
  });

  it('counts processor time where another process had the processor, and flags it', async () => {
    const bench = new ReplayBench(new Map([['a', constant(3)]]));
    bench.cpuShare = 0.7;
    const { results } = await replay(bench, ['a'], plainProtocol());
    expect(results.get('a')).toMatchObject({ rawMs: 3, cpuPerWall: 0.7, flags: ['contention'] });
    expect(results.get('a')!.latencyMs).toBeCloseTo(2.1, 6);
    // A sentinel that is only disturbed has not drifted.
    expect(results.get('a')!.sentinelMs).toBeCloseTo(1.4, 6);
  });

  it('records what others kept busy while a model was measured, and nothing where that cannot be told', async () => {
    const bench = new ReplayBench(new Map([['a', constant(3)]]));
    const quiet = await replay(bench, ['a'], plainProtocol());
    expect(quiet.results.get('a')).not.toHaveProperty('otherLoad');
    // Four processors; others were busy before on all of them, and keep one and a half busy now.
    bench.processors = () => ({ othersMs: 1e6 + 1.5 * bench.nowMs, totalMs: 1e6 + 4 * bench.nowMs });
    const busy = await replay(bench, ['a'], plainProtocol());
    expect(busy.results.get('a')!.otherLoad).toBeCloseTo(0.375, 5);
    // Counters of different clocks never make a share outside 0 to 1.
    bench.processors = () => ({ othersMs: -bench.nowMs, totalMs: bench.nowMs });
    expect((await replay(bench, ['a'], plainProtocol())).results.get('a')!.otherLoad).toBe(0);
  });

  it('counts wall time where a run may wait for something else than the processor', async () => {
    const bench = new ReplayBench(new Map([['a', constant(3)]]));
    bench.cpuShare = 0.2;
    bench.cpuBound = false;
    const { results } = await replay(bench, ['a'], plainProtocol());
    expect(results.get('a')).toMatchObject({ latencyMs: 3, cpuPerWall: 0.2, flags: [] });
  });

  it('keeps what a model takes while nothing disturbs it, however much of the time something does', async () => {
    // A neighbour on the same core: 40 runs slower by a fifth, 20 not.
    const noisy =
      (ms: number): Trace =>
      (run) =>
        run % 60 < 40 ? 1.2 * ms : ms;
    const bench = new ReplayBench(new Map([['a', noisy(3)]]), (_, run) => noisy(2)(run));
    const { results } = await replay(bench, ['a'], plainProtocol());
    expect(results.get('a')!.latencyMs).toBeCloseTo(3.6, 6);
    expect(results.get('a')).toMatchObject({ quietMs: 3, quietSentinelMs: 2 });
  });

  it('takes the price of an undisturbed call off what a model takes undisturbed', async () => {
    const bench = new ReplayBench(
      new Map([['a', constant(3)]]),
      () => 2,
      (run) => (run % 3 === 0 ? 0.25 : 0.5),
    );
    const { results } = await replay(bench, ['a'], plainProtocol());
    expect(results.get('a')).toMatchObject({ overheadMs: 0.5, latencyMs: 2.5, quietMs: 2.75 });
  });

  it('reads the fixed model as warm as it measures models', async () => {
    // What ran before has the caches: three runs of the fixed model take twice as long.
    let cold = 0;
    const bench = new ReplayBench(
      new Map([
        [
          'a',
          () => {
            cold = 3;
            return 1;
          },
        ],
      ]),
      () => (cold-- > 0 ? 4 : 2),
    );
    const protocol = plainProtocol({
      round: { ...plainProtocol().round, rewarmRuns: 3 },
      sentinel: { ...plainProtocol().sentinel, samples: 4 },
    });
    const { results } = await replay(bench, ['a'], protocol);
    expect(results.get('a')).toMatchObject({ sentinelMs: 2, quietSentinelMs: 2 });
  });

  it('refuses a bench whose clock gives no numbers', async () => {
    const bench = new ReplayBench(new Map([['a', (run) => [1, 2, 3][run] ?? Number.NaN]]));
    const { failures } = await replay(bench, ['a'], plainProtocol());
    expect(failures.get('a')).toBe('Cannot time a run: the time must be a number of at least 0: it is NaN');
  });

  it('lets a model fail alone', async () => {
    const bench = new ReplayBench(
      new Map<string, Trace>([
        ['good', constant(1)],
        [
          'dies',
          (run) => {
            if (run > 40) throw new Error('out of memory');
            return 1;
          },
        ],
      ]),
    );
    const { results, failures } = await replay(bench, ['good', 'missing', 'dies'], plainProtocol());
    expect([...results.keys()]).toEqual(['good']);
    expect(Object.fromEntries(failures)).toEqual({ missing: 'no such trace', dies: 'out of memory' });
    expect([...bench.closed].sort()).toEqual(['dies', 'good', 'missing']);
  });

  it('keeps outliers in, and counts them', async () => {
    const bench = new ReplayBench(new Map([['a', (run) => (run % 10 === 9 ? 30 : 3 + (run % 3) * 0.01)]]));
    const { results } = await replay(bench, ['a'], plainProtocol());
    const { severeOutliers, meanMs, latencyMs, p90Ms } = results.get('a')!;
    expect(severeOutliers).toBe(10);
    expect(meanMs).toBeGreaterThan(5.5);
    expect(latencyMs).toBeCloseTo(3.01, 5);
    expect(p90Ms).toBe(30);
  });
});
