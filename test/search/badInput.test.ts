/** Input that makes no sense: a clear error or a stated fallback, never a hang. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { oneHotEncoder } from '../../src/accuracy/encoding.js';
import { accuracyPredictors } from '../../src/accuracy/predictors/index.js';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { predictorRegressor } from '../../src/pipeline/regressors.js';
import { gainedVolumes } from '../../src/search/hypervolumeGain.js';
import { crowdingDistances, hypervolume, nonDominated } from '../../src/search/pareto.js';
import { accuracyQuantity, latencyQuantity, type Quantity } from '../../src/search/quantity.js';
import { searchObjectives, type ObjectiveSearchOptions } from '../../src/search/search.js';
import { strategies } from '../../src/search/strategies/index.js';
import type { Architecture } from '../../src/space/architecture.js';
import { enumerateArchitectures } from '../../src/space/enumerate.js';
import { InfeasibleError, UserError } from '../../src/util/errors.js';
import { landscape } from '../support/landscape.js';
import { smallSpace } from '../support/spaces.js';
import { neighbourRegressor } from '../support/surrogates.js';

const engine = await createOnnxRuntimeEngine({ threads: 1 });
afterAll(() => engine.dispose());
const space = smallSpace();
const land = landscape(space, 1);
const all = [...enumerateArchitectures(space.genes)];
const regressor = neighbourRegressor(space.genes);
const accuracy: Quantity = {
  ...accuracyQuantity(land.accuracy),
  evaluateAt: (archs) => land.accuracy(archs),
};
const latency = latencyQuantity(land.latencyMs);
/** Met by a third of the networks. */
const third = land.latencyMs(all).sort((a, b) => a - b)[Math.floor(all.length / 3)]!;
const search = (strategy: string, more: Partial<ObjectiveSearchOptions> = {}) =>
  searchObjectives({
    space,
    objectives: [accuracy],
    strategy,
    budget: 40,
    seed: 1,
    engine,
    regressor,
    ...more,
  });
const names = [...strategies.keys()];

describe.each(names)('%s', (name) => {
  const { capabilities } = strategies.get(name)!;

  it('finds something where all networks are equally good', async () => {
    const flat = (archs: readonly Architecture[]): number[] => archs.map(() => 0.5);
    const objective = { ...accuracyQuantity(flat), evaluateAt: flat };
    const { best, evaluated, front } = await search(name, { objectives: [objective] });
    expect(best.values).toEqual([0.5]);
    expect(front.length).toBe(1);
    expect(evaluated).toBeGreaterThan(name === 'successive-halving' ? 39 : 39.99);
  });

  it('says which limits contradict each other', async () => {
    const pixels = (direction: 'minimize' | 'maximize'): Quantity => ({
      name: `pixels ${direction}d`,
      unit: '',
      direction,
      evaluate: (archs) => archs.map(({ imageSize }) => imageSize),
    });
    const constraints = [
      { quantity: pixels('minimize'), limit: 16 },
      { quantity: pixels('maximize'), limit: 24 },
    ];
    const failure = search(name, { constraints });
    await expect(failure).rejects.toThrow(InfeasibleError);
    await expect(failure).rejects.toThrow(/each limit can be met, but (not|none were found) together/);
  });

  if (!capabilities.multiObjective) return;

  it('gives a front of one point where one network is within', async () => {
    const lowest = Math.min(...land.latencyMs(all));
    const constraints = [{ quantity: latency, limit: lowest }];
    const { front, best } = await search(name, { objectives: [accuracy, latency], constraints });
    expect(front).toEqual([best]);
    expect(best.values[1]).toBe(lowest);
  });

  it('gives one point where one network is best in all', async () => {
    const opposite: Quantity = {
      name: 'error',
      unit: '',
      direction: 'minimize',
      cheap: true,
      evaluate: (archs) => land.accuracy(archs).map((value) => 100 - value),
    };
    const { front } = await search(name, { objectives: [accuracy, opposite] });
    expect(front.length).toBe(1);
  });
});

describe('a strategy that is asked for what it cannot do', () => {
  it.each(names)('%s says what it lacks', async (name) => {
    const { needs = {} } = strategies.get(name)!;
    const bare = {
      space,
      objectives: [accuracyQuantity(land.accuracy)],
      strategy: name,
      budget: 20,
      seed: 1,
    };
    const failure = searchObjectives(bare);
    if (Object.keys(needs).length === 0) {
      await failure;
      return;
    }
    await expect(failure).rejects.toThrow(UserError);
    await expect(failure).rejects.toThrow(`Cannot search by "${name}": it`);
  });

  it.each(names.filter((name) => strategies.get(name)!.needs?.surrogate === 'variance'))(
    '%s refuses a model that does not know how sure it is',
    async (name) => {
      const ridge = accuracyPredictors.get('ridge')!;
      const unsure = predictorRegressor(ridge, oneHotEncoder({ genes: space.genes }), engine);
      await expect(search(name, { regressor: unsure })).rejects.toThrow(
        'it needs a regressor that knows how sure it is: "ridge" does not',
      );
    },
  );

  it.each(names.filter((name) => !strategies.get(name)!.capabilities.multiObjective))(
    '%s refuses several objectives, naming them',
    async (name) => {
      await expect(search(name, { objectives: [accuracy, latency] })).rejects.toThrow(
        `Cannot search by "${name}": it seeks one objective: there are 2 (accuracy, latencyMs)`,
      );
    },
  );

  it('no strategy searches without an objective', async () => {
    await expect(search('random', { objectives: [] })).rejects.toThrow('there must be an objective');
  });
});

describe('predictors of a search that knows next to nothing', () => {
  // Every kind of predictor is asked from the first evaluations on.
  it.each([...accuracyPredictors.keys()])('%s fits one value, and values that are equal', async (name) => {
    const own = predictorRegressor(
      accuracyPredictors.get(name)!,
      oneHotEncoder({ genes: space.genes }),
      engine,
    );
    for (const values of [[3], [7, 7, 7], [0.4, 0.5]]) {
      const fitted = await own.fit(all.slice(0, values.length), values, 0);
      const { mean } = await fitted.predict(all.slice(0, 9));
      await fitted.dispose();
      expect(mean.length).toBe(9);
      for (const value of Array.from(mean)) expect(Number.isFinite(value)).toBe(true);
      if (new Set(values).size === 1)
        for (const value of Array.from(mean)) expect(value).toBeCloseTo(values[0]!, 4);
    }
  });
});

describe('a journal that is damaged', () => {
  let folder: string;
  beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'ofakit-damaged-'))));
  afterAll(() => rm(folder, { recursive: true }));
  const run = (path: string, strategy = 'evolution') =>
    search(strategy, {
      recorded: [latency],
      constraints: [{ quantity: latency, limit: third }],
      journal: { path, origin: { weights: 'none' } },
    });
  const written = async (path: string, strategy?: string): Promise<string> => {
    await rm(path, { force: true });
    await run(path, strategy);
    return readFile(path, 'utf8');
  };

  it('with a value that is not a number is refused, naming the line', async () => {
    const path = join(folder, 'nan.jsonl');
    const text = await written(path);
    const line = text.split('\n').findIndex((one) => one.includes('"values"'));
    for (const [from, to] of [
      [/"values":\[[^\]]*\]/, '"values":[NaN]'],
      [/"values":\[[^\]]*\]/, '"values":[null]'],
      [/"values":\[[^\]]*\]/, '"values":["0.5"]'],
      [/"values":\[[^\]]*\]/, '"values":[]'],
      [/"values":\[[^\]]*\]/, '"values":[0.5,0.5]'],
      [/"recorded":\[[^\]]+\]/, '"recorded":[Infinity]'],
      [/"recorded":\[[^\]]+\]/, '"recorded":[]'],
      [/"state":"feasible"/, '"state":"unknown"'],
    ] as const) {
      const lines = text.split('\n');
      lines[line] = lines[line]!.replace(from, to);
      expect(lines[line]).not.toBe(text.split('\n')[line]);
      await writeFile(path, lines.join('\n'));
      await expect(run(path), to).rejects.toThrow(UserError);
      await expect(run(path), to).rejects.toThrow(new RegExp(`line ${line + 1}`));
    }
  });

  it.each(['evolution', 'linas'])('anywhere is used or refused, for %s', async (strategy) => {
    const path = join(folder, 'fuzzed.jsonl');
    const text = await written(path, strategy);
    await fc.assert(
      fc.asyncProperty(
        fc.nat(text.length - 1),
        fc.nat(8),
        fc.string({ maxLength: 6 }),
        async (at, cut, inserted) => {
          await writeFile(path, text.slice(0, at) + inserted + text.slice(at + cut));
          try {
            const { best } = await run(path, strategy);
            expect(Number.isFinite(best.values[0])).toBe(true);
          } catch (error) {
            expect(error).toBeInstanceOf(UserError);
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('fronts of few points', () => {
  it('of none and of one', () => {
    const self = (point: readonly number[]): readonly number[] => point;
    expect(nonDominated([], self)).toEqual([]);
    expect(hypervolume([], [0, 0])).toBe(0);
    expect(hypervolume([[2, 3]], [0, 0])).toBe(6);
    expect(hypervolume([[2, 3]], [2, 0])).toBe(0);
    expect(crowdingDistances([[1, 1]])).toEqual([Number.POSITIVE_INFINITY]);
  });

  it('do not keep the choice of further ones from being finite', () => {
    for (const known of [
      [],
      [[1, 1]],
      [
        [1, 1],
        [1, 1],
      ],
    ])
      expect(
        gainedVolumes(
          [
            [1, 1],
            [2, 0],
            [0, 2],
          ],
          known,
          2,
        ).length,
      ).toBe(2);
    expect(gainedVolumes([], [[1, 1]], 3)).toEqual([]);
  });
});
