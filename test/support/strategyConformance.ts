/** What every strategy must do, whoever wrote it. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Engine } from '../../src/engine/engine.js';
import { dominates } from '../../src/search/pareto.js';
import { accuracyQuantity, latencyQuantity, type Quantity } from '../../src/search/quantity.js';
import {
  searchObjectives,
  type ObjectiveSearchOptions,
  type ObjectiveSearchResult,
} from '../../src/search/search.js';
import type { Strategy, StrategyContext, StrategyDefinition, Trial } from '../../src/search/strategy.js';
import type { Architecture } from '../../src/space/architecture.js';
import { enumerateArchitectures } from '../../src/space/enumerate.js';
import { Genome } from '../../src/space/genotype.js';
import { limitGenes } from '../../src/space/limits.js';
import { checkArchitecture, type SearchSpace } from '../../src/space/space.js';
import { InfeasibleError, InterruptedError, UserError } from '../../src/util/errors.js';
import { landscape } from './landscape.js';
import { shippedSpace, smallSpace } from './spaces.js';
import { neighbourRegressor, neighbourSurrogate } from './surrogates.js';

const small = smallSpace();
const genome = new Genome(small.genes);
const { accuracy, latencyMs } = landscape(small, 1);
const all = [...enumerateArchitectures(small.genes)];
const sortedLatencies = latencyMs(all).sort((a, b) => a - b);
/** Met by about a third of the networks. */
const limit = sortedLatencies[Math.floor(all.length / 3)]!;
const feasibleCount = sortedLatencies.filter((latency) => latency <= limit).length;

type Asked = (arch: Architecture, fidelity: number) => void;

/** The accuracy of a landscape, less on a share of the images. `asked`: hears of every question. */
function accuracyOf(
  evaluate: (archs: readonly Architecture[]) => number[],
  asked: Asked = () => undefined,
): Quantity {
  const at = (archs: readonly Architecture[], fidelity: number): number[] => {
    for (const arch of archs) asked(arch, fidelity);
    return evaluate(archs).map((value) => value * (0.9 + 0.1 * fidelity));
  };
  return { ...accuracyQuantity((archs) => at(archs, 1)), evaluateAt: at };
}

/** What the definition needs is there. */
function start(
  definition: StrategyDefinition,
  engine: Engine,
  context: Pick<StrategyContext, 'genes' | 'seed' | 'budget' | 'anchor'>,
): Strategy {
  return definition.create({
    objectives: [{ name: 'accuracy', direction: 'maximize' }],
    surrogate: neighbourSurrogate(context.genes),
    engine,
    ...context,
  });
}

/** Registers the tests of one strategy. */
export function strategyConformance(definition: StrategyDefinition, engine: Engine): void {
  describe(`strategy ${definition.name}`, () => {
    const { capabilities, exact } = definition;
    const shares = definition.needs?.fidelity === true;

    interface Options extends Partial<ObjectiveSearchOptions> {
      readonly limitMs?: number;
    }
    const run = ({ limitMs = limit, ...more }: Options = {}): Promise<ObjectiveSearchResult> => {
      const space: SearchSpace = more.space ?? small;
      const latency = latencyQuantity(space === small ? latencyMs : landscape(space, 2).latencyMs);
      return searchObjectives({
        space,
        objectives: [accuracyOf(accuracy)],
        recorded: [latency],
        constraints: [{ quantity: latency, limit: limitMs }],
        strategy: definition,
        budget: 60,
        seed: 7,
        engine,
        regressor: neighbourRegressor(space.genes),
        ...more,
      });
    };
    /** Once for several tests: some strategies fit models as they go. */
    let first: Promise<ObjectiveSearchResult> | undefined;
    const searched = (): Promise<ObjectiveSearchResult> => (first ??= run());

    it('gives the same result for the same seed', async () => {
      expect(await run()).toEqual(await searched());
    });

    it('honours the constraints', async () => {
      const { best, front } = await searched();
      for (const found of [best, ...front]) {
        expect(latencyMs([found.architecture])[0]).toBeLessThanOrEqual(limit);
        expect(found.recorded).toEqual(latencyMs([found.architecture]));
        expect(found.values).toEqual(accuracy([found.architecture]));
        checkArchitecture(small.genes, found.architecture, small.name);
      }
    });

    it.each([1, 2, 37, 300])(
      'spends a budget of %i, asks nothing twice, and nothing that breaks a limit',
      async (budget) => {
        const space = shippedSpace('mbv3-tiny');
        const large = new Genome(space.genes);
        const land = landscape(space, 2);
        const latencies = land.latencyMs([space.smallest, space.largest]);
        const between = (latencies[0]! + latencies[1]!) / 2;
        const calls = new Set<string>();
        let cost = 0;
        const objective = accuracyOf(land.accuracy, (arch, fidelity) => {
          const call = `${large.key(large.encode(arch))} ${fidelity}`;
          expect(calls.has(call)).toBe(false);
          calls.add(call);
          cost += fidelity;
          expect(land.latencyMs([arch])[0]).toBeLessThanOrEqual(between);
        });
        const { evaluated } = await run({ space, objectives: [objective], budget, limitMs: between });
        expect(evaluated).toBeCloseTo(cost, 6);
        expect(evaluated).toBeLessThanOrEqual(budget + 1e-6);
        // What is left of a budget may be too little for a share of the images.
        expect(evaluated).toBeGreaterThan(shares ? budget - 1 : budget - 1e-6);
      },
    );

    it('stops when the space is used up, before the budget is', async () => {
      const asked = new Set<string>();
      const objective = accuracyOf(accuracy, (arch) => asked.add(genome.key(genome.encode(arch))));
      await run({ objectives: [objective], budget: 100_000 });
      expect(asked.size).toBeLessThanOrEqual(feasibleCount);
      expect(asked.size).toBeGreaterThan(0.9 * feasibleCount);
    });

    it('ends with InfeasibleError naming the lowest latency there is', async () => {
      const lowest = sortedLatencies[0]!;
      const failure = run({ limitMs: lowest / 2, budget: 100_000 });
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
      const { best, evaluated } = await run({ limitMs: lowest });
      expect(best.recorded).toEqual([lowest]);
      expect(evaluated).toBeLessThan(2);
    });

    it('improves on its first batch or keeps it', async () => {
      const { history, best } = await searched();
      history.slice(1).forEach((step, i) => expect(step.values[0]!).toBeGreaterThan(history[i]!.values[0]!));
      expect(best.values).toEqual(history.at(-1)!.values);
    });

    it('never proposes more than asked nor the same twice, whatever it observes', async () => {
      const strategy = start(definition, engine, {
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
        for (const { key, architecture, genotype, fidelity } of candidates) {
          expect(key).toBe(genome.key(genome.encode(architecture)));
          expect(genome.decode(genotype)).toEqual(architecture);
          expect(seen.has(`${key} ${fidelity}`)).toBe(false);
          seen.add(`${key} ${fidelity}`);
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
      await strategy.dispose?.();
    });

    it('goes on after a replay of its log as if it had never stopped', async () => {
      const create = (): Strategy =>
        start(definition, engine, { genes: small.genes, seed: 5, budget: 1000, anchor: small.smallest });
      const log: Trial[][] = [];
      const stopped = create();
      for (let round = 0; round < 12; round++) {
        const trials = (await stopped.propose(20)).map((candidate): Trial =>
          latencyMs([candidate.architecture])[0]! <= limit
            ? { ...candidate, state: 'feasible', values: accuracy([candidate.architecture]) }
            : { ...candidate, state: 'infeasible', violation: 1 },
        );
        log.push(trials);
        await stopped.observe(trials);
      }
      const resumed = create();
      for (const trials of log) {
        if (capabilities.resume === 'replay') await resumed.propose(20);
        await resumed.observe(trials);
      }
      const next = await stopped.propose(20);
      expect(next.length).toBeGreaterThan(0);
      expect(await resumed.propose(20)).toEqual(next);
      await stopped.dispose?.();
      await resumed.dispose?.();
    });

    it('goes on from its journal, wherever that ends, and asks nothing again', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'ofakit-journal-'));
      try {
        const path = join(folder, 'search.jsonl');
        const journal = { path, origin: { weights: 'none' } };
        const asked: string[] = [];
        const measured: Quantity = {
          ...accuracyOf(accuracy, (arch, fidelity) =>
            asked.push(`${genome.key(genome.encode(arch))} ${fidelity}`),
          ),
          chunk: 1,
        };
        const whole = await run({ objectives: [measured], journal });
        const everything = readFileSync(path, 'utf8');
        const order = [...asked];
        // Whole: nothing is left to do.
        asked.length = 0;
        expect(await run({ objectives: [measured], journal })).toEqual(whole);
        expect(asked).toEqual([]);
        for (const share of [0.02, 0.35, 0.8]) {
          // Cut anywhere, as a kill does.
          writeFileSync(path, everything.slice(0, Math.floor(share * everything.length)));
          asked.length = 0;
          expect(await run({ objectives: [measured], journal })).toEqual(whole);
          expect(readFileSync(path, 'utf8')).toBe(everything);
          expect(asked).toEqual(order.slice(order.length - asked.length));
        }
        // Stopped by a signal.
        rmSync(path);
        asked.length = 0;
        const abort = new AbortController();
        const stopping = accuracyOf(accuracy, (arch, fidelity) => {
          if (asked.length === 20) abort.abort(new InterruptedError('Stopped'));
          asked.push(`${genome.key(genome.encode(arch))} ${fidelity}`);
        });
        const stopped = run({ objectives: [{ ...stopping, chunk: 1 }], journal, signal: abort.signal });
        await expect(stopped).rejects.toThrow(InterruptedError);
        expect(await run({ objectives: [measured], journal })).toEqual(whole);
        expect(asked).toEqual(order);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });

    it('gives up in bounded time when everything is infeasible', async () => {
      const { genes } = shippedSpace('mbv3-tiny');
      const limited = limitGenes(genes, { imageSize: [20], d: [1, 2] });
      const strategy = start(definition, engine, { genes: limited, seed: 3, budget: 1000 });
      let proposed = 0;
      for (;;) {
        const candidates = await strategy.propose(256);
        if (candidates.length === 0) break;
        proposed += candidates.length;
        await strategy.observe(candidates.map((c): Trial => ({ ...c, state: 'infeasible', violation: 1 })));
        if (proposed > 1e6) break;
      }
      expect(proposed).toBeLessThan(1e6);
      await strategy.dispose?.();
    });

    it(
      capabilities.multiObjective ? 'seeks a front of several objectives' : 'refuses several objectives',
      async () => {
        const size: Quantity = {
          name: 'pixels',
          unit: '',
          direction: 'minimize',
          evaluate: (archs) => archs.map(({ imageSize }) => imageSize),
        };
        const objectives = [accuracyOf(accuracy), latencyQuantity(latencyMs), size];
        const searching = run({ objectives, recorded: [] });
        if (!capabilities.multiObjective) {
          await expect(searching).rejects.toThrow(UserError);
          return;
        }
        const { front, evaluated } = await searching;
        if (!exact) expect(evaluated).toBe(60);
        expect(front.length).toBeGreaterThan(2);
        const gains = front.map(({ values }) => [values[0]!, -values[1]!, -values[2]!]);
        for (const a of gains) for (const b of gains) expect(dominates(a, b)).toBe(false);
        for (const { values } of front) expect(values[1]).toBeLessThanOrEqual(limit);
      },
    );
  });
}
