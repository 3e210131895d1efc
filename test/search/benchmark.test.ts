/** Regrets and hypervolumes against what a strategy of known order must come to. */
import { afterAll, describe, expect, it } from 'vitest';
import { tabularBenchmark } from '../../src/accuracy/benchmarks/tabular.js';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import {
  canBeJudged,
  runOnTask,
  summariseRuns,
  tabularTask,
  type StrategyRun,
} from '../../src/search/benchmark.js';
import { strategies } from '../../src/search/strategies/index.js';
import { createCandidate, type StrategyDefinition } from '../../src/search/strategy.js';
import type { Architecture } from '../../src/space/architecture.js';
import { enumerateArchitectures } from '../../src/space/enumerate.js';
import { Genome } from '../../src/space/genotype.js';
import { UserError } from '../../src/util/errors.js';
import { createRandom } from '../../src/util/random.js';
import { landscape } from '../support/landscape.js';
import { smallSpace } from '../support/spaces.js';
import { neighbourRegressor } from '../support/surrogates.js';

const engine = await createOnnxRuntimeEngine({ threads: 1 });
afterAll(() => engine.dispose());

const { genes } = smallSpace();
const land = landscape(smallSpace(), 1);
const archs = [...enumerateArchitectures(genes)];
const tableOf = (list: readonly Architecture[]) => {
  const accuracies = land.accuracy(list);
  const latencies = land.latencyMs(list);
  return tabularBenchmark(
    'made up',
    genes,
    list.map((architecture, i) => ({
      architecture,
      values: { top1: accuracies[i]! / 100, latencyMs: latencies[i]! },
    })),
  );
};
const half = createRandom('half')
  .shuffle(archs)
  .slice(0, archs.length / 2);

/** Asks for the networks of a list in its order. */
const inOrder = (list: readonly Architecture[]): StrategyDefinition => ({
  name: 'in-order',
  description: 'for tests',
  exact: false,
  capabilities: { multiObjective: true, constraints: 'learns', resume: 'replay' },
  defaultBudget: 10,
  create(context) {
    const genome = new Genome(context.genes);
    let next = 0;
    return {
      propose: (count) =>
        list.slice(next, (next += count)).map((arch) => createCandidate(genome, genome.encode(arch))),
      observe: () => undefined,
    };
  },
});
const options = {
  seed: 0,
  queries: [1, 7, 30],
  frontQueries: 25,
  regressor: neighbourRegressor(genes),
  engine,
};

describe('runOnTask', () => {
  it.each([
    ['a whole space', archs],
    ['a part of a space', half],
  ])('takes regrets after so many queries, and the share of the front: %s', async (_, list) => {
    const task = tabularTask(tableOf(list), 'latencyMs');
    expect(task.constraints.length).toBe(list === archs ? 0 : 1);
    const order = createRandom('order').shuffle(list);
    const values = land.accuracy(order);
    const best = Math.max(...values);
    const run = await runOnTask(task, { ...options, strategy: inOrder(order) });
    options.queries.forEach((count, i) =>
      expect(run.regretPoints[i]).toBeCloseTo(best - Math.max(...values.slice(0, count)), 9),
    );
    // Area below a staircase, by its definition.
    const points = order.map((arch, i) => [values[i]! / 100, -land.latencyMs([arch])[0]!] as const);
    const [low, slow] = [0, 1].map((d) => Math.min(...points.map((point) => point[d]!)));
    const area = (some: typeof points): number => {
      const speeds = [...new Set(some.map(([, speed]) => speed))].sort((a, b) => a - b);
      return speeds.reduce((sum, speed, i) => {
        const width = speed - (speeds[i - 1] ?? slow!);
        const height = Math.max(...some.filter(([, own]) => own >= speed).map(([accuracy]) => accuracy));
        return sum + width * (height - low!);
      }, 0);
    };
    expect(run.hypervolumeShare).toBeCloseTo(area(points.slice(0, 25)) / area(points), 9);
  });

  it('knows the whole front when all was asked, and networks outside the table cost nothing', async () => {
    const task = tabularTask(tableOf(half), 'latencyMs');
    const strategy = inOrder(archs);
    const run = await runOnTask(task, {
      ...options,
      strategy,
      queries: [half.length],
      frontQueries: half.length,
    });
    expect(run).toEqual({ strategy: 'in-order', seed: 0, regretPoints: [0], hypervolumeShare: 1 });
  });

  it.each([0, 1.5, half.length + 1])('refuses %d queries', async (count) => {
    const task = tabularTask(tableOf(half), 'latencyMs');
    const strategy = inOrder(half);
    await expect(runOnTask(task, { ...options, strategy, queries: [count] })).rejects.toThrow(
      `queries must be from 1 to ${half.length}, as there are ${half.length} networks: current value is ${count}`,
    );
  });

  it('runs every strategy that a table can judge, the same for the same seed', async () => {
    const task = tabularTask(tableOf(half), 'latencyMs');
    const judged = [...strategies.values()].filter(canBeJudged);
    expect(judged.map(({ name }) => name)).not.toContain('exhaustive');
    expect(judged.map(({ name }) => name)).not.toContain('successive-halving');
    for (const strategy of judged.filter(({ needs }) => needs?.engine !== true)) {
      const run = () => runOnTask(task, { ...options, strategy, seed: 3 });
      const first = await run();
      expect(await run()).toEqual(first);
      expect(first.hypervolumeShare !== null).toBe(strategy.capabilities.multiObjective);
      for (const [i, regret] of first.regretPoints.entries()) {
        expect(regret).toBeGreaterThanOrEqual(0);
        expect(regret).toBeLessThanOrEqual(first.regretPoints[i - 1] ?? Infinity);
      }
    }
  });
});

describe('tabularTask', () => {
  const flat = (values: (i: number) => Record<string, number>) =>
    tabularBenchmark(
      'flat',
      genes,
      archs.map((architecture, i) => ({ architecture, values: values(i) })),
    );

  it.each([
    ['accuracies', (i: number) => ({ top1: 0.5, macs: i })],
    ['an axis', (i: number) => ({ top1: i / archs.length, macs: 3 })],
  ])('refuses %s without differences', (_, values) => {
    expect(() => tabularTask(flat(values), 'macs')).toThrow(UserError);
    expect(() => tabularTask(flat(values), 'macs')).toThrow('must differ in top1 and in macs: they do not');
  });

  it('refuses an axis that the table lacks', () => {
    expect(() =>
      tabularTask(
        flat((i) => ({ top1: i / 1000, macs: i })),
        'energy',
      ),
    ).toThrow('Unknown quantity of benchmark "flat" "energy": known are macs, top1');
  });
});

describe('summariseRuns', () => {
  const runs = (strategy: string, regrets: readonly number[], share: number | null = null): StrategyRun[] =>
    regrets.map((regret, seed) => ({ strategy, seed, regretPoints: [regret], hypervolumeShare: share }));

  it('has means, their errors, and what can be said against random search', () => {
    const rows = summariseRuns(
      [
        ...runs('random', [3, 5, 4, 4], 0.5),
        ...runs('good', [1, 1, 2, 2]),
        ...runs('poor', [9, 8, 9, 8]),
        ...runs('like it', [4, 4, 4, 3], 0.5),
        ...runs('one', [0]),
      ],
      [50],
      9,
    );
    const row = (name: string) => rows.find(({ strategy }) => strategy === name)!;
    const random = row('random').regretPoints[0]!;
    expect(random).toEqual({
      queries: 50,
      mean: 4,
      standardError: Math.sqrt(2 / 3 / 4),
      againstRandom: null,
    });
    expect(row('random')).toMatchObject({ seeds: 4, beatsRandom: null });
    expect(row('good')).toMatchObject({ beatsRandom: true, hypervolumeShare: null });
    expect(row('poor').regretPoints[0]!.againstRandom).toBe('worse');
    expect(row('poor').beatsRandom).toBe(false);
    expect(row('like it').regretPoints[0]!.againstRandom).toBe('unclear');
    expect(row('like it').hypervolumeShare).toEqual({
      queries: 9,
      mean: 0.5,
      standardError: 0,
      againstRandom: 'unclear',
    });
    // A single seed proves nothing.
    expect(row('one').regretPoints[0]).toMatchObject({ standardError: null, againstRandom: 'unclear' });
  });

  it('says nothing of random search where it was not run', () => {
    const [row] = summariseRuns(runs('good', [1, 2]), [50], 9);
    expect(row).toMatchObject({ beatsRandom: null, regretPoints: [{ againstRandom: null }] });
  });
});
