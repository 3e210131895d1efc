import { describe, expect, it } from 'vitest';
import { costQuantities, rememberByKey } from '../../src/search/quantity.js';
import { search } from '../../src/search/search.js';
import { createEvolution, evolutionDefaults } from '../../src/search/strategies/evolution.js';
import type { Trial } from '../../src/search/strategy.js';
import type { Architecture } from '../../src/space/architecture.js';
import { architectureKey } from '../../src/space/canonical.js';
import { networkCosts } from '../../src/space/costs.js';
import { countNetworks, enumerateArchitectures } from '../../src/space/enumerate.js';
import { sampleArchitecture } from '../../src/space/sampling.js';
import { createRandom } from '../../src/util/random.js';
import { InfeasibleError, UserError } from '../../src/util/errors.js';
import { counting, landscape } from '../support/landscape.js';
import { shippedSpace, smallSpace } from '../support/spaces.js';

const small = smallSpace();
const all = [...enumerateArchitectures(small.genes)];

/** The optimum and front by definition. */
function bruteForce(seed: number, maxLatencyMs: number) {
  const land = landscape(small, seed);
  const latency = land.latencyMs(all);
  const points = land
    .accuracy(all)
    .map((accuracy, i) => ({ accuracy, latencyMs: latency[i]!, architecture: all[i]! }))
    .filter((point) => point.latencyMs <= maxLatencyMs);
  const best = points.reduce((a, b) => (b.accuracy > a.accuracy ? b : a));
  const front = points
    .filter((p) => !points.some((o) => o !== p && o.latencyMs <= p.latencyMs && o.accuracy >= p.accuracy))
    .sort((a, b) => a.latencyMs - b.latencyMs);
  return { land, best, front };
}

describe('search', () => {
  it.each([1, 2, 3, 4, 5])('is exact on small spaces (landscape %i)', async (seed) => {
    const { latencyMs } = landscape(small, seed);
    const limit = latencyMs(all).sort((a, b) => a - b)[Math.floor(all.length / 4)]!;
    const { land, best, front } = bruteForce(seed, limit);
    const options = {
      space: small,
      predictAccuracy: land.accuracy,
      predictLatencyMs: land.latencyMs,
      constraints: { latencyMs: limit },
    };
    const exact = await search(options);
    expect(exact.strategy).toBe('exhaustive');
    expect(exact.best).toEqual(best);
    expect(exact.front).toEqual(front);
    expect(exact.checked).toBe(Number(countNetworks(small.genes)));
  });

  it('finds the optimum by selection in half of the queries, nearly always', async () => {
    let found = 0;
    const seeds = 20;
    for (let seed = 1; seed <= seeds; seed++) {
      const { latencyMs } = landscape(small, seed);
      const limit = latencyMs(all).sort((a, b) => a - b)[Math.floor(all.length / 4)]!;
      const { land, best } = bruteForce(seed, limit);
      const { best: evolved } = await search({
        space: small,
        predictAccuracy: land.accuracy,
        predictLatencyMs: land.latencyMs,
        constraints: { latencyMs: limit },
        strategy: 'evolution',
        budget: Math.floor(all.length / 8),
        seed,
      });
      if (evolved.accuracy === best.accuracy) found++;
    }
    expect(found).toBeGreaterThanOrEqual(0.8 * seeds);
  });

  it.each([150, 1000])(
    'beats random sampling on a space of OFA size with %i queries each',
    async (budget) => {
      const space = shippedSpace('ofa-mbv3');
      let wins = 0;
      let gain = 0;
      const seeds = 20;
      for (let seed = 0; seed < seeds; seed++) {
        const land = landscape(space, seed);
        const [fast, slow] = land.latencyMs([space.smallest, space.largest]);
        const options = {
          space,
          predictAccuracy: land.accuracy,
          predictLatencyMs: land.latencyMs,
          constraints: { latencyMs: fast! + 0.5 * (slow! - fast!) },
          budget,
          seed,
        };
        const evolved = await search({ ...options, strategy: 'evolution' });
        const sampled = await search({ ...options, strategy: 'random' });
        expect(evolved.evaluated).toBe(sampled.evaluated);
        if (evolved.best.accuracy > sampled.best.accuracy) wins++;
        gain += (evolved.best.accuracy - sampled.best.accuracy) / seeds;
      }
      expect(wins).toBeGreaterThan(seeds / 2);
      expect(gain).toBeGreaterThan(0);
    },
  );

  it('works under a limit that one sample in many thousands meets', async () => {
    const space = shippedSpace('ofa-mbv3');
    const land = landscape(space, 3);
    const [fast, slow] = land.latencyMs([space.smallest, space.largest]);
    const limit = fast! + 0.05 * (slow! - fast!);
    const random = createRandom(1);
    const samples = Array.from({ length: 2000 }, () => sampleArchitecture(space.genes, random));
    expect(land.latencyMs(samples).filter((latency) => latency <= limit)).toEqual([]);
    const { best, evaluated, history } = await search({
      space,
      predictAccuracy: land.accuracy,
      predictLatencyMs: land.latencyMs,
      constraints: { latencyMs: limit },
      strategy: 'evolution',
      budget: 1000,
    });
    expect(evaluated).toBe(1000);
    expect(best.latencyMs).toBeLessThanOrEqual(limit);
    expect(history.length).toBeGreaterThan(3);
  });

  it('ends where hardly a network is left within the limit, instead of drawing others without end', async () => {
    const space = shippedSpace('ofa-mbv3');
    const land = landscape(space, 3);
    const [fast, slow] = land.latencyMs([space.smallest, space.largest]);
    const limit = fast! + 0.025 * (slow! - fast!);
    let asked = 0;
    const { best, evaluated } = await search({
      space,
      predictAccuracy: land.accuracy,
      // Not a sum over blocks, so that every network is asked about.
      predictLatencyMs: (archs) => {
        asked += archs.length;
        return land.latencyMs(archs).map((ms) => (ms <= limit ? ms : ms ** 2));
      },
      constraints: { latencyMs: limit },
      strategy: 'evolution',
      budget: 5000,
    });
    expect(best.latencyMs).toBeLessThanOrEqual(limit);
    expect(evaluated).toBeGreaterThan(100);
    expect(asked).toBeLessThan(150_000);
  });

  it('counts the last generation', async () => {
    const land = landscape(small, 9);
    // The answer is worth more the later it is asked: the best of all must be the very last network.
    let asked = 0;
    const keys: string[] = [];
    const predictAccuracy = (archs: readonly Architecture[]) =>
      archs.map((arch) => {
        keys.push(architectureKey(small.genes, arch));
        return ++asked;
      });
    const { best, evaluated } = await search({
      space: small,
      predictAccuracy,
      predictLatencyMs: land.latencyMs,
      strategy: 'evolution',
      budget: 150,
    });
    expect(evaluated).toBe(150);
    expect(best.accuracy).toBe(150);
    expect(architectureKey(small.genes, best.architecture)).toBe(keys.at(-1));
  });

  it('limits MACs and parameters without any latency', async () => {
    const space = shippedSpace('mbv3-tiny');
    const land = landscape(space, 4);
    const costs = (arch: typeof space.largest) => networkCosts(space.network(arch));
    const constraints = {
      macs: (costs(space.smallest).macs + costs(space.largest).macs) / 3,
      params: costs(space.largest).params / 2,
    };
    const { best, front } = await search({
      space,
      predictAccuracy: land.accuracy,
      constraints,
      strategy: 'evolution',
      budget: 500,
    });
    expect(costs(best.architecture).macs).toBeLessThanOrEqual(constraints.macs);
    expect(costs(best.architecture).params).toBeLessThanOrEqual(constraints.params);
    expect(front).toEqual([best]);
  });

  it('searches the part of the space it is told to', async () => {
    const space = shippedSpace('ofa-mbv3');
    const land = landscape(space, 4);
    const { front } = await search({
      space,
      within: { imageSize: [160], ks: [3, 5] },
      predictAccuracy: land.accuracy,
      predictLatencyMs: land.latencyMs,
      strategy: 'evolution',
      budget: 400,
    });
    for (const { architecture } of front) {
      expect(architecture.imageSize).toBe(160);
      expect(Math.max(...architecture.ks)).toBeLessThan(7);
    }
  });

  it('says what two limits can do alone but not together', async () => {
    const size = { name: 'bigness', unit: '', direction: 'maximize' as const };
    const evaluate = (archs: readonly Architecture[]) => archs.map((arch) => arch.imageSize);
    const failure = search({
      space: small,
      predictAccuracy: (archs) => archs.map(() => 1),
      predictLatencyMs: (archs) => archs.map((arch) => arch.imageSize / 8),
      constraints: { latencyMs: 2 },
      moreConstraints: [{ quantity: { ...size, evaluate }, limit: 24 }],
      strategy: 'evolution',
    });
    await expect(failure).rejects.toThrow(InfeasibleError);
    await expect(failure).rejects.toThrow(
      /bigness at least 24 and latencyMs at most 2 ms: each limit can be met, but not together: the closest found has bigness \d+ and latencyMs \d/,
    );
  });

  it('refuses what makes no sense', async () => {
    const options = { space: small, predictAccuracy: (archs: readonly Architecture[]) => archs.map(() => 1) };
    await expect(search({ ...options, strategy: 'luck' })).rejects.toThrow(
      /^Unknown search strategy "luck": known are aging-evolution, .*evolution, .*random/,
    );
    await expect(search({ ...options, constraints: { latencyMs: 5 } })).rejects.toThrow(UserError);
    await expect(search({ ...options, constraints: { macs: 0 } })).rejects.toThrow('must be above 0');
    await expect(search({ ...options, budget: 0 })).rejects.toThrow(RangeError);
    await expect(
      search({ ...options, predictAccuracy: (archs) => archs.map(() => Number.NaN) }),
    ).rejects.toThrow('accuracy must be a finite number');
    await expect(search({ ...options, predictAccuracy: () => [1] })).rejects.toThrow(
      /one value an architecture/,
    );
  });
});

describe('createEvolution', () => {
  const objectives = [{ name: 'accuracy', direction: 'maximize' as const }];

  it('keeps a population of different networks', async () => {
    const { genes } = shippedSpace('mbv3-tiny');
    const { populationSize } = evolutionDefaults;
    const strategy = createEvolution({ genes, seed: 1, budget: 3000, objectives });
    // Every network is as good as any other: nothing but the strategy itself keeps children apart.
    for (let generation = 0; generation < 30; generation++) {
      const candidates = await strategy.propose(1000);
      expect(candidates.length).toBe(populationSize);
      expect(new Set(candidates.map(({ architecture }) => architectureKey(genes, architecture))).size).toBe(
        populationSize,
      );
      await strategy.observe(candidates.map((c): Trial => ({ ...c, state: 'feasible', values: [0] })));
    }
  });

  it('refuses a population of one', () => {
    expect(() =>
      createEvolution({ genes: small.genes, seed: 1, budget: 3000, objectives }, { populationSize: 1 }),
    ).toThrow(RangeError);
  });
});

describe('costQuantities', () => {
  it('are the costs of the network', async () => {
    const quantities = costQuantities(small);
    const costs = networkCosts(small.network(small.largest));
    for (const name of ['macs', 'params', 'modelBytes', 'peakActivationBytes'] as const)
      expect(await quantities[name].evaluate([small.largest])).toEqual([costs[name]]);
  });
});

describe('rememberByKey', () => {
  it('asks once for a network and answers in order', async () => {
    const { accuracy } = landscape(small, 1);
    const { predict, calls } = counting(small, accuracy);
    const remembered = rememberByKey(small.genes, predict);
    const random = createRandom(2);
    for (let round = 0; round < 5; round++) {
      const archs = Array.from({ length: 60 }, () => sampleArchitecture(small.genes, random));
      expect(await remembered(archs)).toEqual(accuracy(archs));
    }
    expect(Math.max(...calls.values())).toBe(1);
  });

  it('answers about more networks than it keeps', async () => {
    const ofa = shippedSpace('ofa-mbv3');
    const random = createRandom(3);
    const archs = Array.from({ length: 260_000 }, () => sampleArchitecture(ofa.genes, random));
    let asked = 0;
    const remembered = rememberByKey(ofa.genes, (list) => {
      asked += list.length;
      return list.map(({ ks }) => ks[0]!);
    });
    const wanted = archs.map(({ ks }) => ks[0]!);
    for (let i = 0; i < archs.length; i += 10_000)
      expect(await remembered(archs.slice(i, i + 10_000))).toEqual(wanted.slice(i, i + 10_000));
    const first = asked;
    expect(await remembered(archs.slice(0, 1000))).toEqual(wanted.slice(0, 1000));
    expect(asked).toBe(first);
    expect(await remembered(archs.slice(-1000))).toEqual(wanted.slice(-1000));
    expect(asked).toBe(first + 1000);
  });
});
