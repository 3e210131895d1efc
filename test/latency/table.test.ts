import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nullModel, blockModel } from '../../src/device/referenceModels.js';
import { distinctBlocks } from '../../src/latency/blocks.js';
import { fillTable } from '../../src/latency/fill.js';
import { LatencyQuery, openLatencyTable } from '../../src/latency/query.js';
import { validateTable } from '../../src/latency/validate.js';
import {
  formatTable,
  latencyTableSchema,
  measuredTable,
  readTable,
  tablePath,
} from '../../src/latency/table.js';
import { architectureKey } from '../../src/space/canonical.js';
import { fromFile } from '../../src/space/architecture.js';
import { loadSpace } from '../../src/space/presets.js';
import { InterruptedError, UserError } from '../../src/util/errors.js';
import { plainProtocol } from '../device/replay.js';
import { blockTruthMs, fillRequest, networkTruthMs, profile, tiny, truthfulDevice } from './world.js';

let folder: string;
let count = 0;
const newPath = (): string => join(folder, `table${count++}.json`);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ofakit-latency-'));
});
afterAll(() => rm(folder, { recursive: true }));

const blocks = distinctBlocks(tiny, [20]);

describe('fillTable', () => {
  it('measures every block and the wanted subnets, and the file holds the same', async () => {
    const path = newPath();
    const { table, measured, failures } = await fillTable(
      fillRequest(path, { wholeSubnets: { fit: 7, check: 5 } }),
    );
    expect(measured).toBe(blocks.length + 12);
    expect(failures.size).toBe(0);
    const read = measuredTable(await readTable(path));
    expect(read).toEqual(table);
    expect(latencyTableSchema.parse(JSON.parse(formatTable(read)))).toEqual(table);
    for (const block of blocks) {
      expect(read.entries[block.key]!.latencyMs).toBeCloseTo(blockTruthMs(block), 5);
    }
    for (const role of ['fit', 'check'] as const) {
      const subnets = read.wholeSubnets.filter((subnet) => subnet.role === role);
      expect(subnets).toHaveLength(role === 'fit' ? 7 : 5);
      for (const { architecture, latencyMs } of subnets) {
        expect(architecture.image_size).toBe(20);
        expect(latencyMs).toBeCloseTo(networkTruthMs(tiny, fromFile(architecture), 0.02), 5);
      }
    }
  });

  it('keeps what was finished when interrupted, and measures only the rest the next time', async () => {
    const path = newPath();
    const controller = new AbortController();
    const first = truthfulDevice();
    const stopping = {
      ...first,
      run: ((job, onEvent, signal) =>
        first.run(
          job,
          (event) => {
            onEvent(event);
            if (first.measured.length >= 20) controller.abort();
          },
          signal,
        )) satisfies typeof first.run,
    };
    const wholeSubnets = { fit: 4, check: 4 };
    await expect(
      fillTable(fillRequest(path, { connection: stopping, signal: controller.signal, wholeSubnets })),
    ).rejects.toThrow(InterruptedError);
    const kept = measuredTable(await readTable(path));
    const keptCount = Object.keys(kept.entries).length + kept.wholeSubnets.length;
    expect(keptCount).toBeGreaterThanOrEqual(20);
    expect(keptCount).toBeLessThan(blocks.length + 8);

    const second = truthfulDevice();
    const { table } = await fillTable(fillRequest(path, { connection: second, wholeSubnets }));
    expect(second.measured).toHaveLength(blocks.length + 8 - keptCount);
    expect(Object.keys(table.entries)).toHaveLength(blocks.length);
    const subnets = table.wholeSubnets.map(({ architecture }) =>
      architectureKey(tiny.genes, fromFile(architecture)),
    );
    expect(new Set(subnets).size).toBe(8);

    const third = truthfulDevice();
    await fillTable(fillRequest(path, { connection: third, wholeSubnets }));
    expect(third.measured).toEqual([]);
    // More image sizes and subnets are added to what is there.
    const more = await fillTable(
      fillRequest(path, { imageSizes: [20, 24], wholeSubnets: { fit: 4, check: 6 } }),
    );
    expect(Object.keys(more.table.entries)).toHaveLength(distinctBlocks(tiny, [20, 24]).length);
    expect(more.table.wholeSubnets).toHaveLength(10);
  });

  it('tries again what failed, and reports it', async () => {
    const path = newPath();
    const broken = blocks[3]!.key;
    const first = await fillTable(fillRequest(path, { connection: truthfulDevice(new Set([broken])) }));
    expect([...first.failures]).toEqual([[broken, 'no kernel']]);
    const again = await fillTable(fillRequest(path));
    expect(again.measured).toBe(1);
    expect(again.table.entries[broken]).toBeDefined();
  });

  it('never mixes devices, protocols or spaces', async () => {
    const path = newPath();
    await fillTable(fillRequest(path));
    const before = await readFile(path, 'utf8');
    const other = truthfulDevice();
    const foreign = { ...other, fingerprint: { ...other.fingerprint, cpu: 'Another CPU' } };
    await expect(fillTable(fillRequest(path, { connection: foreign }))).rejects.toThrow(
      /Cannot add to the latency table .*the device is not the one .*cpu "Another CPU" instead of/,
    );
    const hasty = { ...plainProtocol(), name: 'hasty', interleave: 3 };
    await expect(fillTable(fillRequest(path, { protocol: hasty }))).rejects.toThrow(/protocol "standard"/);
    const wide = await loadSpace('mbv3-tiny', { width: 2 });
    await expect(fillTable(fillRequest(path, { space: wide }))).rejects.toThrow(/width, classes or layers/);
    expect(await readFile(path, 'utf8')).toBe(before);
  });

  it('measures with the runtime, in a process of its own', async () => {
    const space = await loadSpace('mbv3-tiny', { imageSizes: [20] });
    const protocol = {
      ...plainProtocol(),
      name: 'brief',
      warmup: { minRuns: 1, minMs: 0, window: 1, tolerance: 1, maxMs: 5 },
      round: { rewarmRuns: 0, minSamples: 1, minMs: 0, maxSamples: 1 },
      rounds: { min: 2, max: 2, ciTarget: 1, maxModelMs: 100 },
      sentinel: { every: 50, samples: 1, tolerance: 1, cooldownMs: 0, maxRedo: 0 },
    };
    const { connection: _, ...request } = fillRequest(newPath(), {
      space,
      protocol,
      wholeSubnets: { fit: 2, check: 1 },
      buildModel: () => nullModel(),
      buildNetwork: () => blockModel(),
    });
    const { table, failures } = await fillTable(request);
    expect(failures.size).toBe(0);
    expect(Object.keys(table.entries)).toHaveLength(blocks.length);
    expect(table.wholeSubnets).toHaveLength(3);
    expect(table.device.fingerprint.runtime).toMatch(/^onnxruntime-node \d/);
    for (const { latencyMs } of Object.values(table.entries)) expect(latencyMs).toBeGreaterThan(0);
  });
});

describe('queries', () => {
  it('answer for architectures and blocks, and refuse what was not measured', async () => {
    const path = newPath();
    await fillTable(fillRequest(path, { wholeSubnets: { fit: 20, check: 10 } }));
    const query = await openLatencyTable(path);
    const arch = { ...tiny.largest, imageSize: 20 };
    const answer = query.architecture(arch);
    expect(answer).toMatchObject({ method: 'corrected-table', device: 'local-cpu' });
    expect(answer.intervalMs![0]).toBeLessThan(answer.latencyMs);
    expect(Math.abs(answer.latencyMs / networkTruthMs(tiny, arch, 0) - 1)).toBeLessThan(0.05);
    expect(query.block(blocks[0]!.key).latencyMs).toBeCloseTo(blockTruthMs(blocks[0]!), 5);

    expect(() => query.block('toString')).toThrow(UserError);
    expect(() => query.architecture(tiny.largest)).toThrow(
      /Cannot look up block "conv-in1x28x28.*ofa measure --space mbv3-tiny --device local-cpu/,
    );
    const alone = await openLatencyTable(path, 'table');
    expect(alone.architecture(arch).method).toBe('table');
    await expect(openLatencyTable(path, 'tarot')).rejects.toThrow(
      'known are choices, corrected-table, features, mlp, table, table-ridge, table-trees, transfer, trees',
    );
  });

  it('validate on subnets that were not used to fit', async () => {
    const path = newPath();
    const { table } = await fillTable(fillRequest(path, { wholeSubnets: { fit: 20, check: 15 } }));
    const validation = validateTable(table);
    expect(validation).toMatchObject({ method: 'corrected-table', device: 'local-cpu', space: 'mbv3-tiny' });
    expect(validation.errors.count).toBe(15);
    expect(validation.errors.mape).toBeLessThan(4);
    expect(Object.keys(validation.byMethod)).toEqual(['table', 'corrected-table', 'features']);
    // What it checks with has no influence on what it predicts.
    const spoiled = {
      ...table,
      wholeSubnets: table.wholeSubnets.map((subnet) =>
        subnet.role === 'check' ? { ...subnet, latencyMs: subnet.latencyMs * 2 } : subnet,
      ),
    };
    const predicted = (t: typeof table): number[] =>
      validateTable(t).networks.map(({ predictedMs }) => predictedMs);
    expect(predicted(spoiled)).toEqual(predicted(table));
    const unchecked = { ...table, wholeSubnets: [] };
    expect(() => validateTable(unchecked)).toThrow('ofa measure');
  });

  it('work from whole subnets alone', async () => {
    const { table } = await fillTable(
      fillRequest(newPath(), { blocks: false, wholeSubnets: { fit: 20, check: 5 } }),
    );
    expect(table.entries).toEqual({});
    expect(new LatencyQuery(table).predictor.name).toBe('features');
    expect(() => new LatencyQuery(table, 'corrected-table')).toThrow('and a table of blocks');
  });

  it('say what is wrong with a file', async () => {
    await expect(openLatencyTable(join(folder, 'none.json'))).rejects.toThrow('make it with "ofa measure"');
    const path = newPath();
    await fillTable(fillRequest(path));
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.slice(0, text.length / 2));
    await expect(openLatencyTable(path)).rejects.toThrow(UserError);
    await expect(fillTable(fillRequest(path))).rejects.toThrow('it is not JSON');
    await writeFile(path, text.replace('"latencyMs":', '"latencyMs":-'));
    await expect(openLatencyTable(path)).rejects.toThrow(/Cannot use the latency table .*latencyMs/);
    await writeFile(path, text.replace('latency-table/1', 'latency-table/9'));
    await expect(openLatencyTable(path)).rejects.toThrow(/at "format"/);
  });

  it('load no runtime', async () => {
    const loadedBy = async (module: string): Promise<number> => {
      const script =
        `await import('${module}');` +
        "console.log(process.report.getReport().sharedObjects.filter((path) => path.includes('onnxruntime')).length)";
      const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
      return Number(stdout);
    };
    expect(await loadedBy('onnxruntime-node')).toBeGreaterThan(0);
    expect(await loadedBy('./dist/latency/query.js')).toBe(0);
  });

  it('look for tables by device and space', () => {
    expect(tablePath(profile.name, tiny.name, 'tables')).toBe(join('tables', 'local-cpu', 'mbv3-tiny.json'));
  });
});
