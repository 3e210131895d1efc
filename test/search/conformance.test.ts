/** What every strategy must do; a new one joins through the list in strategies/index.ts. */
import { afterAll, describe, expect, it } from 'vitest';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { search, type SearchOptions } from '../../src/search/search.js';
import { strategies } from '../../src/search/strategies/index.js';
import type { Strategy, StrategyContext, StrategyDefinition, Trial } from '../../src/search/strategy.js';
import type { Architecture } from '../../src/space/architecture.js';
import { enumerateArchitectures } from '../../src/space/enumerate.js';
import { Genome } from '../../src/space/genotype.js';
import { limitGenes } from '../../src/space/limits.js';
import { checkArchitecture } from '../../src/space/space.js';
import { InfeasibleError } from '../../src/util/errors.js';
import { counting, landscape } from '../support/landscape.js';
import { shippedSpace, smallSpace } from '../support/spaces.js';
import { neighbourSurrogate } from '../support/surrogates.js';

const engine = await createOnnxRuntimeEngine({ threads: 1 });
afterAll(() => engine.dispose());

const small = smallSpace();
const genome = new Genome(small.genes);
const { accuracy, latencyMs } = landscape(small, 1);
const all = [...enumerateArchitectures(small.genes)];
const sortedLatencies = latencyMs(all).sort((a, b) => a - b);
/** Met by about a third of the networks. */
const limit = sortedLatencies[Math.floor(all.length / 3)]!;
const feasibleCount = sortedLatencies.filter((latency) => latency <= limit).length;

/** What the definition needs is there. */
function start(
  definition: StrategyDefinition,
  context: Pick<StrategyContext, 'genes' | 'seed' | 'budget' | 'anchor'>,
): Strategy {
  return definition.create({
    objectives: [{ name: 'accuracy', direction: 'maximize' }],
    surrogate: neighbourSurrogate(context.genes),
    engine,
    ...context,
  });
}

describe.each([...strategies.values()].map((s) => [s.name, s] as const))(
  'strategy %s',
  (name, definition) => {
    const options = (more: Partial<SearchOptions> = {}): SearchOptions => ({
      space: small,
      predictAccuracy: accuracy,
      predictLatencyMs: latencyMs,
      constraints: { latencyMs: limit },
      strategy: name,
      budget: 100,
      seed: 7,
      engine,
      ...more,
    });

    /** Once for several tests: some strategies fit models as they go. */
    let first: ReturnType<typeof search> | undefined;
    const searched = (): ReturnType<typeof search> => (first ??= search(options()));

    it('gives the same result for the same seed', async () => {
      expect(await search(options())).toEqual(await searched());
    });

    it('honours the constraints', async () => {
      const { best, front } = await searched();
      for (const found of [best, ...front]) {
        expect(latencyMs([found.architecture])[0]).toBeLessThanOrEqual(limit);
        expect(found.latencyMs).toBe(latencyMs([found.architecture])[0]);
        expect(found.accuracy).toBe(accuracy([found.architecture])[0]);
        checkArchitecture(small.genes, found.architecture, small.name);
      }
    });

    it.each([1, 2, 37, 300])(
      'asks for exactly %i accuracies, none twice, and none that breaks a limit',
      async (budget) => {
        const large = shippedSpace('mbv3-tiny');
        const land = landscape(large, 2);
        const latencies = land.latencyMs([large.smallest, large.largest]);
        const between = (latencies[0]! + latencies[1]!) / 2;
        const asked: Architecture[] = [];
        const { predict, calls } = counting(large, (archs) => {
          asked.push(...archs);
          return land.accuracy(archs);
        });
        const constraints = { latencyMs: between };
        const result = await search(
          options({
            space: large,
            predictAccuracy: predict,
            predictLatencyMs: land.latencyMs,
            budget,
            constraints,
          }),
        );
        expect(result.evaluated).toBe(budget);
        expect(calls.size).toBe(budget);
        expect(new Set(calls.values())).toEqual(new Set([1]));
        for (const latency of land.latencyMs(asked)) expect(latency).toBeLessThanOrEqual(between);
      },
    );

    it('stops when the space is used up, before the budget is', async () => {
      const { evaluated } = await search(options({ budget: 100_000 }));
      expect(evaluated).toBeLessThanOrEqual(feasibleCount);
      expect(evaluated).toBeGreaterThan(0.9 * feasibleCount);
    });

    it('ends with InfeasibleError naming the lowest latency there is', async () => {
      const lowest = sortedLatencies[0]!;
      const failure = search(options({ constraints: { latencyMs: lowest / 2 }, budget: 100_000 }));
      await expect(failure).rejects.toThrow(InfeasibleError);
      const message = await failure.then(
        () => '',
        (error: unknown) => (error as Error).message,
      );
      const named = Number(/the lowest latencyMs found is ([\d.]+) ms/.exec(message)?.[1]);
      expect(named).toBeGreaterThanOrEqual(lowest);
      expect(named).toBeLessThanOrEqual(lowest * 1.001);
    });

    it('finds a way where a single network meets the limit', async () => {
      const lowest = sortedLatencies[0]!;
      const { best, evaluated } = await search(options({ constraints: { latencyMs: lowest } }));
      expect(best.latencyMs).toBe(lowest);
      expect(evaluated).toBe(1);
    });

    it('improves on its first batch or keeps it', async () => {
      const { history, best } = await searched();
      history.slice(1).forEach((step, i) => expect(step.accuracy).toBeGreaterThan(history[i]!.accuracy));
      expect(best.accuracy).toBe(history.at(-1)!.accuracy);
    });

    it('never proposes more than asked nor a network twice, whatever it observes', async () => {
      const strategy = start(definition, {
        genes: small.genes,
        seed: 3,
        budget: 1000,
        anchor: small.smallest,
      });
      const seen = new Set<string>();
      let rounds = 0;
      for (; rounds < 100_000; rounds++) {
        const candidates = await strategy.propose(5);
        if (candidates.length === 0) break;
        expect(candidates.length).toBeLessThanOrEqual(5);
        for (const { key, architecture, genotype } of candidates) {
          expect(key).toBe(genome.key(genome.encode(architecture)));
          expect(genome.decode(genotype)).toEqual(architecture);
          expect(seen.has(key)).toBe(false);
          seen.add(key);
        }
        await strategy.observe(
          candidates.map((candidate, i): Trial =>
            i === 0 && rounds % 3 === 0
              ? { ...candidate, state: 'feasible', values: [candidate.key.length] }
              : { ...candidate, state: 'infeasible', violation: 1 },
          ),
        );
      }
      expect(rounds).toBeLessThan(100_000);
    });

    it('goes on after a replay of its log as if it had never stopped', async () => {
      const create = () =>
        start(definition, { genes: small.genes, seed: 5, budget: 1000, anchor: small.smallest });
      const log: Trial[][] = [];
      const first = create();
      for (let round = 0; round < 12; round++) {
        const trials = (await first.propose(20)).map((candidate): Trial =>
          latencyMs([candidate.architecture])[0]! <= limit
            ? { ...candidate, state: 'feasible', values: accuracy([candidate.architecture]) }
            : { ...candidate, state: 'infeasible', violation: 1 },
        );
        log.push(trials);
        await first.observe(trials);
      }
      const second = create();
      for (const trials of log) {
        if (definition.capabilities.resume === 'replay') await second.propose(20);
        await second.observe(trials);
      }
      const next = await first.propose(20);
      expect(next.length).toBeGreaterThan(0);
      expect(await second.propose(20)).toEqual(next);
    });

    it('gives up in bounded time when everything is infeasible', async () => {
      const { genes } = shippedSpace('mbv3-tiny');
      const limited = limitGenes(genes, { imageSize: [20], d: [1, 2] });
      const strategy = start(definition, { genes: limited, seed: 3, budget: 1000 });
      let proposed = 0;
      for (;;) {
        const candidates = await strategy.propose(256);
        if (candidates.length === 0) break;
        proposed += candidates.length;
        await strategy.observe(candidates.map((c): Trial => ({ ...c, state: 'infeasible', violation: 1 })));
        if (proposed > 1e6) break;
      }
      expect(proposed).toBeLessThan(1e6);
    });
  },
);
