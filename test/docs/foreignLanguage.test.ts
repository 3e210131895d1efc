/** The program of docs/formats.md against our own answers: a table is of use without ofakit. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { distinctBlocks } from '../../src/latency/blocks.js';
import { fitPredictor } from '../../src/latency/crossValidation.js';
import { tableContext, tableExamples } from '../../src/latency/fitted.js';
import { latencyPredictorByName } from '../../src/latency/predictors.js';
import { LatencyQuery } from '../../src/latency/query.js';
import {
  readTable,
  tablePath,
  writeTable,
  type LatencyTable,
  type MeasuredTable,
} from '../../src/latency/table.js';
import { toFile, type Architecture } from '../../src/space/architecture.js';
import { sampleArchitecture } from '../../src/space/sampling.js';
import type { SearchSpace } from '../../src/space/space.js';
import { createRandom } from '../../src/util/random.js';
import { packagePath } from '../../src/util/scripts.js';
import { makeTable } from '../cli/support/fixture.js';
import { madeUpDevice } from '../latency/world.js';
import { shippedSpace } from '../support/spaces.js';

const python = ['python3', 'python'].find((name) => {
  const found = spawnSync(name, ['-c', 'import sys; sys.exit(sys.version_info < (3, 8))']);
  return found.status === 0;
});
/** Why it is skipped, where it is. */
const without = python === undefined ? ' (skipped: there is no python3 of 3.8 or later here)' : '';

const folder = mkdtempSync(join(tmpdir(), 'ofakit-python-'));
afterAll(() => rmSync(folder, { recursive: true }));

const spaces: Record<string, SearchSpace> = {
  'mbv3-tiny': shippedSpace('mbv3-tiny'),
  'ofa-proxyless': shippedSpace('ofa-proxyless', { imageSizes: [128, 160] }),
  'ofa-resnet50': shippedSpace('ofa-resnet50', { imageSizes: [128, 132] }),
};

beforeAll(() => {
  const document = readFileSync(packagePath('docs/formats.md'), 'utf8');
  const [, program] = /^```python\n([^]*?)^```$/m.exec(document) ?? [];
  writeFileSync(join(folder, 'latency.py'), program!);
});

interface Answer {
  readonly latencyMs: number;
  readonly intervalMs: readonly [number, number] | null;
}

async function ask(table: LatencyTable, archs: readonly Architecture[]): Promise<Answer[]> {
  await writeTable(join(folder, 'table.json'), table);
  writeFileSync(join(folder, 'archs.json'), JSON.stringify(archs.map(toFile)));
  const words = [join(folder, 'latency.py'), join(folder, 'table.json'), join(folder, 'archs.json')];
  return JSON.parse(execFileSync(python!, words, { encoding: 'utf8' })) as Answer[];
}

const some = (space: SearchSpace, count: number, seed: string): Architecture[] => [
  space.smallest,
  space.largest,
  ...Array.from({ length: count }, (_, i) => sampleArchitecture(space.genes, createRandom(seed, i))),
];

/** Blocks and 45 whole networks, `quiet` or not; contexts and speeds of the machine differ from one to the next. */
async function measured(space: SearchSpace, quiet: boolean): Promise<MeasuredTable> {
  const path = join(folder, 'made.json');
  await makeTable(path, space);
  const table = (await readTable(path)) as MeasuredTable;
  const random = createRandom('speeds', space.name, Number(quiet));
  const [template] = Object.values(table.entries);
  const timed = (ms: number): typeof template & object => {
    const speed = 0.8 + 0.4 * random.float();
    const { quietMs: _, quietSentinelMs: __, ...rest } = template!;
    return {
      ...rest,
      latencyMs: ms * speed,
      sentinelMs: 1.5 * speed,
      ...(quiet && { quietMs: 0.9 * ms * speed, quietSentinelMs: 1.3 * speed * (1 + 0.1 * random.float()) }),
    };
  };
  for (const { key } of distinctBlocks(space)) {
    const context = {
      contextMs: 0.05 * random.float(),
      ...(quiet && { contextQuietMs: 0.04 * random.float() }),
    };
    table.entries[key] = { ...timed(0.02 + 0.1 * random.float()), ...context };
  }
  const truth = madeUpDevice(space, 3);
  for (const architecture of some(space, 43, `${space.name} fit`))
    table.wholeSubnets.push({
      architecture: toFile(architecture),
      role: 'fit',
      ...timed(truth(architecture)),
    });
  return table;
}

describe.skipIf(python === undefined)(`a table asked from Python${without}`, () => {
  const cases = Object.keys(spaces).flatMap((space) =>
    ['table', 'corrected-table', 'features', 'choices'].map((name, i) => [space, name, i % 2 === 0] as const),
  );
  it.each(cases)('of %s answers by "%s" as we do (quiet times: %s)', async (name, method, quiet) => {
    const space = spaces[name]!;
    const table = await measured(space, quiet);
    const predictor = fitPredictor(
      latencyPredictorByName(method),
      tableExamples(table, 'fit'),
      tableContext(table),
    );
    const query = new LatencyQuery(table, method);
    const archs = some(space, 30, `${name} asked`);
    const kept = { ...table, predictor: { name: method, basis: '', state: predictor.state() } };
    const answers = await ask(kept, archs);
    archs.forEach((arch, i) => {
      const { latencyMs, intervalMs } = query.architecture(arch);
      expect(answers[i]!.latencyMs / latencyMs).toBeCloseTo(1, 9);
      expect(answers[i]!.intervalMs![0]).toBeCloseTo(intervalMs![0], 9);
      expect(answers[i]!.intervalMs![1]).toBeCloseTo(intervalMs![1], 9);
    });
    expect(new Set(answers.map(({ latencyMs }) => latencyMs)).size).toBeGreaterThan(10);
  });

  it('that was imported answers as we do, and without an interval', async () => {
    const table = await readTable(tablePath('note10', 'ofa-mbv3'));
    const query = new LatencyQuery(table);
    const archs = some(query.space, 30, 'note10');
    const answers = await ask(table, archs);
    answers.forEach(({ latencyMs, intervalMs }, i) => {
      expect(latencyMs / query.architecture(archs[i]!).latencyMs).toBeCloseTo(1, 12);
      expect(intervalMs).toBeNull();
    });
  });

  it('knows the keys of every block of a shipped space', async () => {
    for (const space of Object.values(spaces)) {
      const table = await measured(space, false);
      const archs = some(space, 60, 'keys');
      const needed = new Set(archs.flatMap((arch) => space.network(arch).blocks.map(({ key }) => key)));
      const entries = Object.entries(table.entries).filter(([key]) => needed.has(key));
      const bare = { ...table, entries: Object.fromEntries(entries), wholeSubnets: [] };
      expect(await ask(bare, archs)).toHaveLength(archs.length);
    }
  });
});
