/** Tables of other people's networks: strings and files that are read, and searches over them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { readHwNasBench } from '../../../src/accuracy/benchmarks/hwNasBench.js';
import { readMacroTable } from '../../../src/accuracy/benchmarks/macroTable.js';
import {
  NB201_OPERATIONS,
  nasBench201Genes,
  nasBench201Text,
  parseNasBench201,
  readNasBench201,
} from '../../../src/accuracy/benchmarks/nasBench201.js';
import { readOwnBenchmark } from '../../../src/accuracy/benchmarks/ownData.js';
import { joinBenchmarks } from '../../../src/accuracy/benchmarks/tabular.js';
import { readAccuracies } from '../../../src/accuracy/dataset.js';
import { runSearch } from '../../../src/search/run.js';
import { strategyByName } from '../../../src/search/strategies/index.js';
import { tabularLimit, tabularQuantity } from '../../../src/search/tabular.js';
import { enumerateArchitectures } from '../../../src/space/enumerate.js';
import { networkCosts } from '../../../src/space/costs.js';
import { checkArchitecture } from '../../../src/space/space.js';
import { UserError } from '../../../src/util/errors.js';
import { createRandom } from '../../../src/util/random.js';
import { fewDigits, makeRun, space } from '../../cli/support/fixture.js';
import { sharedData } from '../../support/sharedData.js';

const root = mkdtempSync(join(tmpdir(), 'ofakit-tables-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const write = (name: string, content: unknown): string => {
  const path = join(root, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
};

/** As their README prints it for network 0. */
const FIRST =
  '|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|';

const cells = fc.array(fc.integer({ min: 0, max: NB201_OPERATIONS.length - 1 }), {
  minLength: 6,
  maxLength: 6,
});

describe("NAS-Bench-201's strings", () => {
  it('are read as the edges that they name', () => {
    const { ks } = parseNasBench201(FIRST);
    expect(ks.map((operation) => NB201_OPERATIONS[operation])).toEqual([
      'avg_pool_3x3',
      'nor_conv_1x1',
      'skip_connect',
      'nor_conv_1x1',
      'skip_connect',
      'skip_connect',
    ]);
  });

  it('and architectures are one another, for every one of the 15,625', () => {
    const texts = [...enumerateArchitectures(nasBench201Genes)].map((arch) => {
      const text = nasBench201Text(arch);
      expect(parseNasBench201(text)).toEqual(arch);
      return text;
    });
    expect(new Set(texts).size).toBe(5 ** 6);
  });

  it('say the same however they are put together', () => {
    fc.assert(
      fc.property(cells, (ks) => {
        const edge = (i: number, from: number): string => `|${NB201_OPERATIONS[ks[i]!]!}~${from}`;
        const text = `${edge(0, 0)}|+${edge(1, 0)}${edge(2, 1)}|+${edge(3, 0)}${edge(4, 1)}${edge(5, 2)}|`;
        const arch = parseNasBench201(text);
        checkArchitecture(nasBench201Genes, arch, 'nas-bench-201');
        expect(arch.ks).toEqual(ks);
        expect(nasBench201Text(arch)).toBe(text);
      }),
    );
  });

  it('that are damaged are refused by one sentence, whatever the damage', () => {
    const damaged = fc.oneof(
      fc.string(),
      fc
        .tuple(fc.nat(FIRST.length - 1), fc.string({ maxLength: 3 }), fc.nat(5))
        .map(([at, more, cut]) => FIRST.slice(0, at) + more + FIRST.slice(at + cut)),
    );
    fc.assert(
      fc.property(damaged, (text) => {
        try {
          expect(nasBench201Text(parseNasBench201(text))).toBe(text);
        } catch (error) {
          expect(error).toBeInstanceOf(UserError);
        }
      }),
      { numRuns: 500 },
    );
    expect(() => parseNasBench201(FIRST.replace('avg_pool_3x3', 'max_pool'))).toThrow(
      /edge 0 of node 1 must be one of none, skip_connect, .*: current value is "max_pool~0"/,
    );
    expect(() => parseNasBench201('|none~0|')).toThrow(
      /3 nodes joined by "\+" are wanted: current value is 1/,
    );
    expect(() => parseNasBench201(FIRST.replace('skip_connect~2', 'skip_connect~1'))).toThrow(
      /then "~2": current value is "skip_connect~1"/,
    );
  });
});

const OTHER = '|none~0|+|none~0|none~1|+|none~0|none~1|nor_conv_3x3~2|';
const table201 = (more: object = {}) => ({
  format: 'ofakit.nas-bench-201/1',
  dataset: 'cifar10',
  entries: {
    [FIRST]: { top1: 0.86, macs: 3e7, params: 2e5, latencyMs: { phone: 3.5 } },
    [OTHER]: { top1: 0.1, macs: 1e7, params: 1e5, ...more },
  },
});
/** The figures of their README. */
const hardware = {
  cifar10: {
    config: [
      { name: 'infer.tiny', C: 16, N: 5, arch_str: FIRST, num_classes: 10 },
      {
        name: 'infer.tiny',
        C: 16,
        N: 5,
        arch_str: nasBench201Text(parseNasBench201(OTHER)),
        num_classes: 10,
      },
    ],
    edgegpu_latency: [5.807418537139893, 1],
    edgegpu_energy: [24.226614330768584, 2],
    raspi4_latency: [10.481976820010459, 3],
    eyeriss_arithmetic_intensity: [7, 7],
  },
};

describe('files', () => {
  it('of NAS-Bench-201 hold what is in them; what only some networks have is no quantity', async () => {
    const table = await readNasBench201(write('201.json', table201()));
    expect(table.quantities).toEqual(['top1', 'macs', 'params']);
    expect(table.entries).toHaveLength(2);
    expect(table.lookup(parseNasBench201(FIRST))!.values).toEqual({
      top1: 0.86,
      macs: 3e7,
      params: 2e5,
      'latencyMs.phone': 3.5,
    });
    expect(table.lookup({ ...parseNasBench201(OTHER), ks: [1, 1, 1, 1, 1, 1] })).toBeUndefined();
  });

  it('of HW-NAS-Bench hold latencies and energies, which join accuracies', async () => {
    const path = write('hw.json', hardware);
    const costs = await readHwNasBench(path, 'cifar10');
    expect(costs.quantities).toEqual(['latencyMs.edgegpu', 'energyMj.edgegpu', 'latencyMs.raspi4']);
    expect(costs.lookup(parseNasBench201(FIRST))!.values).toEqual({
      'latencyMs.edgegpu': 5.807418537139893,
      'energyMj.edgegpu': 24.226614330768584,
      'latencyMs.raspi4': 10.481976820010459,
    });
    await expect(readHwNasBench(path, 'mnist')).rejects.toThrow(
      /Unknown data set of .*"mnist": known are cifar10/,
    );
    const table = await readNasBench201(write('201.json', table201({ latencyMs: { phone: 1 } })));
    const both = joinBenchmarks(table, costs);
    expect([...both.quantities].sort()).toEqual([
      'energyMj.edgegpu',
      'latencyMs.edgegpu',
      'latencyMs.phone',
      'latencyMs.raspi4',
      'macs',
      'params',
      'top1',
    ]);
  });

  it('that are not what they should be are refused, naming file and key', async () => {
    const cases: [unknown, RegExp][] = [
      [{ ...table201(), format: 'x' }, /format/],
      [table201({ top1: 86 }), /top1/],
      [table201({ accuracy: 1 }), /accuracy/],
      [{ ...table201(), entries: { '|none~0|': { top1: 0.5 } } }, /3 nodes/],
      [{ ...table201(), entries: {} }, /there are none/],
      ['{', /201\.json/],
    ];
    for (const [content, message] of cases) {
      const failure = readNasBench201(write('201.json', content));
      await expect(failure).rejects.toThrow(UserError);
      await expect(failure).rejects.toThrow(message);
    }
    const { cifar10 } = hardware;
    for (const wrong of [[1], [1, -1], [1, 'x'], 'x'])
      await expect(
        readHwNasBench(write('hw.json', { cifar10: { ...cifar10, raspi4_latency: wrong } }), 'cifar10'),
      ).rejects.toThrow(/"cifar10.raspi4_latency" must be a list of 2 numbers/);
  });

  it('of a run hold its measured accuracies, with costs', async () => {
    await makeRun(join(root, 'run'), fewDigits(join(root, 'digits')), 8);
    const path = join(root, 'run', 'accuracy.jsonl');
    const table = await readOwnBenchmark(path, space);
    expect(table.quantities).toEqual(['top1', 'macs', 'params']);
    for (const { architecture, top1 } of await readAccuracies(path, space)) {
      const { macs, params } = networkCosts(space.network(architecture));
      expect(table.lookup(architecture)!.values).toEqual({ top1, macs, params });
    }
    await expect(readOwnBenchmark(join(root, 'none.jsonl'), space)).rejects.toThrow(/there are none/);
  });

  const macro = sharedData('nas-bench-macro-open.json');
  it.skipIf(macro === undefined)('of NAS-Bench-Macro hold each network once', async () => {
    const table = await readMacroTable(macro!);
    // Its README counts them.
    expect(table.entries).toHaveLength(1975);
    expect(table.quantities).toEqual(['top1', 'macs', 'params']);
  });
});

describe('searches over a table', () => {
  /** A third of the cells. */
  const entries: Record<string, { top1: number; macs: number }> = {};
  const random = createRandom('table');
  for (const arch of enumerateArchitectures(nasBench201Genes)) {
    if (random.int(3) > 0) continue;
    const worth = arch.ks.reduce((sum, operation) => sum + operation, 0);
    entries[nasBench201Text(arch)] = { top1: worth / 30, macs: 1 + arch.ks.filter((v) => v > 1).length };
  }

  it.each(['random', 'evolution', 'exhaustive'])('%s asks for networks of the table alone', async (name) => {
    const table = await readNasBench201(write('many.json', { ...table201(), entries }));
    const { best, front, evaluated } = await runSearch({
      genes: table.genes,
      strategy: strategyByName(name),
      objectives: [tabularQuantity(table, 'top1', 'maximize')],
      recorded: [tabularQuantity(table, 'macs', 'minimize')],
      constraints: [tabularLimit(table)],
      budget: name === 'exhaustive' ? 1e5 : 300,
      seed: 0,
    });
    expect(evaluated).toBe(name === 'exhaustive' ? Object.keys(entries).length : 300);
    for (const { architecture, values, recorded } of [best, ...front]) {
      const { top1, macs } = entries[nasBench201Text(architecture)]!;
      expect([...values, ...recorded]).toEqual([top1, macs]);
    }
    if (name !== 'exhaustive') return;
    expect(best.values[0]).toBe(Math.max(...Object.values(entries).map(({ top1 }) => top1)));
  });

  it('refuse quantities and networks that the table lacks', async () => {
    const table = await readNasBench201(write('201.json', table201()));
    expect(() => tabularQuantity(table, 'latencyMs.phone', 'minimize')).toThrow(
      /Unknown quantity of benchmark "nas-bench-201 cifar10" "latencyMs.phone": known are macs, params, top1/,
    );
    const { evaluate } = tabularQuantity(table, 'top1', 'maximize');
    expect(() => evaluate([{ ...parseNasBench201(FIRST), ks: [0, 0, 0, 0, 0, 0] }])).toThrow(RangeError);
  });
});
