/** `ofa bench search`: its file, what it refuses, and tables from a run's accuracies. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readMacroTable } from '../../src/accuracy/benchmarks/macroTable.js';
import { canonicalMacro } from '../../src/accuracy/benchmarks/nasBenchMacro.js';
import { tabularBenchmark } from '../../src/accuracy/benchmarks/tabular.js';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { benchSearch, strategyTable, type BenchSearchReport } from '../../src/pipeline/benchSearch.js';
import { openAccuracyTable, parseWithin } from '../../src/pipeline/benchTables.js';
import { toFile } from '../../src/space/architecture.js';
import { networkCosts } from '../../src/space/costs.js';
import { enumerateArchitectures } from '../../src/space/enumerate.js';
import { InterruptedError, UserError } from '../../src/util/errors.js';
import { silentLogger } from '../../src/util/logger.js';
import { landscape } from '../support/landscape.js';
import { smallSpace } from '../support/spaces.js';

const engine = await createOnnxRuntimeEngine({ threads: 1 });
afterAll(() => engine.dispose());
let folder: string;
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'ofakit-bench-search-'))));
afterAll(() => rm(folder, { recursive: true }));

/** Networks of NAS-Bench-Macro, the more of everything the better. */
const texts = Array.from({ length: 3 ** 8 }, (_, i) => i.toString(3).padStart(8, '0'));
const macro = texts
  .filter((text) => canonicalMacro(text) === text)
  .filter((_, i) => i % 3 === 0)
  .map((text) => {
    const sum = Array.from(text, Number).reduce((total, choice, slot) => total + (slot + 1) * choice, 0);
    return [
      text,
      { mean_acc: 80 + 0.2 * sum - 0.002 * sum ** 2, params: 1000 + sum, flops: 1e6 + 1000 * sum },
    ];
  });
const macroTable = async () => {
  const path = join(folder, 'macro.json');
  await writeFile(path, JSON.stringify(Object.fromEntries(macro)));
  return readMacroTable(path);
};
const settings = async (more: object = {}) => ({
  table: await macroTable(),
  axis: 'macs',
  strategies: ['evolution', 'nsga2'],
  queries: [10, 40],
  frontShare: 0.03,
  seeds: 3,
  engine,
  logger: silentLogger,
  ...more,
});
const untimed = (report: BenchSearchReport) => ({
  ...report,
  strategies: report.strategies.map(({ cpuSecondsPerSeed: _, ...row }) => row),
});

describe('benchSearch', () => {
  it('has random search first, and a line a strategy', async () => {
    const report = await benchSearch(await settings());
    expect(report).toMatchObject({ table: 'nas-bench-macro', networks: macro.length, axis: 'macs' });
    expect(report.strategies.map(({ strategy, seeds }) => [strategy, seeds])).toEqual([
      ['random', 3],
      ['evolution', 3],
      ['nsga2', 3],
    ]);
    const { header, lines } = strategyTable(report);
    expect(header).toEqual([
      'strategy',
      'seeds',
      'regret, 10 queries',
      'regret, 40 queries',
      `hypervolume, ${Math.floor(0.03 * macro.length)} queries`,
      'beats random',
      'CPU s a seed',
    ]);
    const [random, evolution, nsga2] = report.strategies;
    expect(lines[0]!.slice(2, 4)).toEqual(random!.regretPoints.map(({ mean }) => mean.toFixed(3)));
    expect(lines[0]![5]).toBe('-');
    expect(lines[1]![4]).toBe('-');
    expect(lines[2]![4]).toBe(nsga2!.hypervolumeShare!.mean.toFixed(4));
    // One that is better everywhere, and what is said of one that is not.
    const row = { ...evolution!, hypervolumeShare: null };
    const against = (verdicts: readonly ('better' | 'worse' | 'unclear')[], beatsRandom: boolean) =>
      strategyTable({
        ...report,
        strategies: [
          {
            ...row,
            beatsRandom,
            regretPoints: row.regretPoints.map((own, i) => ({ ...own, againstRandom: verdicts[i]! })),
          },
        ],
      }).lines[0]!.at(-2);
    expect(against(['better', 'better'], true)).toBe('yes');
    expect(against(['worse', 'better'], false)).toBe('worse at 10');
    expect(against(['unclear', 'worse'], false)).toBe('unclear at 10, worse at 40');
  });

  it('goes on from its file, wherever that was cut, and does nothing twice', async () => {
    const file = join(folder, 'runs.jsonl');
    const whole = await benchSearch(await settings({ file }));
    const text = await readFile(file, 'utf8');
    expect(text.trimEnd().split('\n').length).toBe(1 + 9);
    expect(await benchSearch(await settings({ file }))).toEqual(whole);
    expect(await readFile(file, 'utf8')).toBe(text);
    await writeFile(file, text.slice(0, Math.floor(0.6 * text.length)));
    expect(untimed(await benchSearch(await settings({ file })))).toEqual(untimed(whole));
    // Fewer strategies or seeds: those of the file alone.
    const fewer = await benchSearch(await settings({ file, strategies: ['nsga2'], seeds: 2 }));
    expect(fewer.strategies.map(({ strategy, seeds }) => [strategy, seeds])).toEqual([
      ['random', 2],
      ['nsga2', 2],
    ]);
    // More seeds: only those that are new.
    await benchSearch(await settings({ file, seeds: 4 }));
    expect((await readFile(file, 'utf8')).trimEnd().split('\n').length).toBe(1 + 12);
  });

  it('stops at a signal with what is done kept', async () => {
    const file = join(folder, 'stopped.jsonl');
    const abort = new AbortController();
    const logger = {
      ...silentLogger,
      progress: () => ({
        update: (done: number) => {
          if (done === 4) abort.abort(new InterruptedError('Stopped'));
        },
        stop: () => undefined,
      }),
    };
    await expect(benchSearch(await settings({ file, logger, signal: abort.signal }))).rejects.toThrow(
      InterruptedError,
    );
    expect((await readFile(file, 'utf8')).trimEnd().split('\n').length).toBe(1 + 4);
    expect(untimed(await benchSearch(await settings({ file })))).toEqual(
      untimed(await benchSearch(await settings())),
    );
  });

  it.each([
    [{ queries: [10, 41] }, /its queries must be \[10,41\]: it is \[10,40\]/],
    [{ axis: 'params' }, /its axis must be "params": it is "macs"/],
    [{ frontShare: 0.1 }, /its frontQueries must be/],
    [{ predictor: 'ridge' }, /its predictor must be "ridge": it is "preferred"/],
  ])('refuses the file of a benchmark with other %o', async (other, message) => {
    const file = join(folder, 'other.jsonl');
    await benchSearch(await settings({ file, seeds: 1 }));
    await expect(benchSearch(await settings({ file, ...other }))).rejects.toThrow(message);
  });

  it('refuses the file of another table', async () => {
    const file = join(folder, 'another.jsonl');
    await benchSearch(await settings({ file, seeds: 1 }));
    const table = await macroTable();
    const entries = table.entries.map(({ architecture, values }, i) => ({
      architecture,
      values: i === 5 ? { ...values, top1: 0.1 } : values,
    }));
    const changed = tabularBenchmark(table.name, table.genes, entries);
    await expect(benchSearch(await settings({ file, table: changed }))).rejects.toThrow(
      /its table must be .*; choose another file, or delete it/,
    );
  });

  it('uses a damaged file or says what is wrong with it', async () => {
    const file = join(folder, 'damaged.jsonl');
    await benchSearch(await settings({ file, seeds: 1, strategies: [] }));
    const text = await readFile(file, 'utf8');
    const run = text.split('\n')[1]!;
    const bad = [
      text.replace(/"seed":0/, '"seed":NaN'),
      text.replace(/"regretPoints":\[[^\]]*\]/, '"regretPoints":[1]'),
      text.replace(/"regretPoints":\[[^\]]*\]/, '"regretPoints":[NaN,0]'),
      text.replace(/"cpuSeconds":[^}]*/, '"cpuSeconds":-1'),
      `${run}\n${run}\n`,
      `${text}${text}`,
    ];
    for (const content of bad) {
      await writeFile(file, content);
      await expect(benchSearch(await settings({ file, seeds: 1, strategies: [] }))).rejects.toThrow(
        UserError,
      );
    }
    await fc.assert(
      fc.asyncProperty(
        fc.nat(text.length - 1),
        fc.string({ minLength: 1, maxLength: 3 }),
        async (at, inserted) => {
          await writeFile(file, text.slice(0, at) + inserted + text.slice(at + 1));
          try {
            await benchSearch(await settings({ file, seeds: 1, strategies: [] }));
          } catch (error) {
            expect(error).toBeInstanceOf(UserError);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it.each([
    ['exhaustive', 'Cannot judge strategy "exhaustive" on a table: it lists every network'],
    ['successive-halving', 'it evaluates on a share of the validation images'],
    ['luck', 'Unknown search strategy "luck"'],
  ])('refuses %s', async (name, message) => {
    await expect(benchSearch(await settings({ strategies: [name] }))).rejects.toThrow(message);
  });

  it('refuses a predictor that a strategy cannot use', async () => {
    await expect(
      benchSearch(await settings({ strategies: ['bayesian'], predictor: 'ridge', seeds: 1 })),
    ).rejects.toThrow('it needs a regressor that knows how sure it is: "ridge" does not');
    await expect(
      benchSearch(await settings({ strategies: ['bayesian'], predictor: 'oracle' })),
    ).rejects.toThrow('Unknown accuracy predictor "oracle"');
  });
});

describe("tables of a run's accuracies", () => {
  const space = smallSpace();
  const all = [...enumerateArchitectures(space.genes)];
  const land = landscape(space, 1);
  const write = async (
    name: string,
    archs: typeof all,
    top1 = (i: number) => land.accuracy([archs[i]!])[0]! / 100,
  ) => {
    const path = join(folder, name);
    const lines = archs.map((architecture, i) => ({
      format: 'ofakit.accuracy/1',
      architecture: toFile(architecture),
      split: 'validation',
      top1: top1(i),
      top5: 1,
      loss: 0.1,
      count: 100,
      seed: 0,
      weightsSha256: 'x',
    }));
    await writeFile(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    return path;
  };
  const open = (file: string, within = {}) =>
    openAccuracyTable({ space, file, within, latencyMs: land.latencyMs, engine, seed: 0 });

  it('are the measured ones where there are enough', async () => {
    const some = all.filter((_, i) => i % 3 > 0);
    const { benchmark, predicted } = await open(await write('most.jsonl', some));
    expect(predicted).toBeNull();
    expect(benchmark.entries.length).toBe(some.length);
    for (const arch of some.slice(0, 20)) {
      const { macs, params } = networkCosts(space.network(arch));
      const [accuracy] = land.accuracy([arch]);
      const [latencyMs] = land.latencyMs([arch]);
      expect(benchmark.lookup(arch)!.values).toEqual({ top1: accuracy! / 100, macs, params, latencyMs });
    }
  });

  it('count only the part of the space that is asked for', async () => {
    const small = all.filter(({ imageSize }) => imageSize === 16);
    const { benchmark, predicted } = await open(
      await write('small.jsonl', all.slice(0, 30).concat(small)),
      parseWithin('{"image_size":[16]}'),
    );
    expect(predicted).toBeNull();
    expect(benchmark.entries.length).toBe(small.length);
    expect(benchmark.entries.every(({ architecture }) => architecture.imageSize === 16)).toBe(true);
  });

  it('are of all networks, as predicted, where few were measured', async () => {
    const some = all.filter((_, i) => i % 8 === 0);
    const { benchmark, predicted } = await open(await write('few.jsonl', some));
    expect(benchmark.entries.length).toBe(all.length);
    expect(predicted).toMatchObject({ predictor: 'gp', encoding: 'combined', samples: some.length });
    expect(predicted!.kendallTau).toBeGreaterThan(0.5);
    const errors = all.map((arch) =>
      Math.abs(benchmark.lookup(arch)!.values['top1']! - land.accuracy([arch])[0]! / 100),
    );
    expect(errors.reduce((a, b) => a + b) / errors.length).toBeLessThan(0.02);
  });

  it.each([
    ['none', 0, 'at least 20 measured accuracies are wanted: there are 0'],
    ['two', 2, 'at least 20 measured accuracies are wanted: there are 2'],
  ])('refuse a data set of %s', async (name, count, message) => {
    const path = await write(`${name}.jsonl`, all.slice(0, count));
    await expect(open(path)).rejects.toThrow(UserError);
    await expect(open(path)).rejects.toThrow(message);
  });

  it('refuse accuracies that are all equal', async () => {
    const path = await write('flat.jsonl', all.slice(0, 30), () => 0.25);
    await expect(open(path)).rejects.toThrow('accuracies must differ: all 30 are 0.25');
  });

  it('refuse limits that leave nothing, and limits that are none', async () => {
    const path = await write('limits.jsonl', all);
    await expect(open(path, parseWithin('{"image_size":[17]}'))).rejects.toThrow(UserError);
    for (const text of ['', '[]', '{"image_size":[]}', '{"imageSize":[16]}', '{"ks":"3"}', '{"ks":[NaN]}'])
      expect(() => parseWithin(text)).toThrow(UserError);
    fc.assert(
      fc.property(fc.json(), (text) => {
        try {
          parseWithin(text);
        } catch (error) {
          expect(error).toBeInstanceOf(UserError);
        }
      }),
    );
  });
});
