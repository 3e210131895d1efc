/** What goes into a table beside plain measurements: contexts taken off, drift measured again, other devices, a predictor. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { LatencyMeasurement } from '../../src/device/measurement.js';
import { blockInContext, contextAlone, shapeKey, withoutContext } from '../../src/latency/blockContext.js';
import { distinctBlocks } from '../../src/latency/blocks.js';
import { hasDrifted, steadier } from '../../src/latency/drift.js';
import { fillTable, type FillRequest } from '../../src/latency/fill.js';
import { blockInContextModel, contextModel } from '../../src/latency/models.js';
import { LatencyQuery, tableExamples } from '../../src/latency/query.js';
import { agreementOfPasses } from '../../src/latency/passes.js';
import { validateTable } from '../../src/latency/validate.js';
import { formatTable, latencyTableSchema, measuredTable, readTable } from '../../src/latency/table.js';
import { distilSource } from '../../src/latency/transferPredictor.js';
import { fromFile } from '../../src/space/architecture.js';
import { architectureKey } from '../../src/space/canonical.js';
import { layerOutput } from '../../src/space/network.js';
import { InterruptedError } from '../../src/util/errors.js';
import { silentLogger } from '../../src/util/logger.js';
import { blockTruthMs, encode, fillRequest, networkTruthMs, tiny, truthfulDevice } from './world.js';

let folder: string;
let count = 0;
const newPath = (): string => join(folder, `table${count++}.json`);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ofakit-fill-'));
});
afterAll(() => rm(folder, { recursive: true }));

const blocks = distinctBlocks(tiny, [20]);
const contexts = new Set(
  blocks.filter(({ input }) => input.channels > 1).map(({ input }) => shapeKey(input)),
);

describe('contexts', () => {
  it('fit to the block: shapes pass from layer to layer, and nothing is before an image', () => {
    for (const block of blocks) {
      const chain = blockInContext(block, 1);
      expect(chain).toContain(block);
      expect(chain[0] === block).toBe(block.input.channels === 1);
      expect(chain.at(-1) === block).toBe(block.output.height === 1);
      chain.forEach(({ input, output, layers }, i) => {
        if (i > 0) expect(input).toEqual(chain[i - 1]!.output);
        let shape = input;
        for (const layer of layers) shape = layerOutput(layer, shape);
        expect(shape).toEqual(output);
      });
    }
    expect(contextAlone(blocks[3]!.input)).toHaveLength(2);
  });

  it('become models that run and end in one number', async () => {
    const { InferenceSession, Tensor } = await import('onnxruntime-node');
    const block = blocks.find(({ input, output }) => input.channels > 1 && output.height > 1)!;
    for (const onnx of [blockInContextModel(block, 1, 2), contextModel(block.input, 2)]) {
      const session = await InferenceSession.create(onnx, { logSeverityLevel: 3 });
      const [name] = session.inputNames;
      const dims = [2, 1, block.input.height, block.input.width];
      const feeds = { [name!]: new Tensor(new Float32Array(dims.reduce((a, b) => a * b)).fill(1), dims) };
      const [output] = Object.values(await session.run(feeds));
      expect(output!.size).toBe(1);
      await session.release();
    }
  });

  it('are timed once a shape and taken off every block that has one', async () => {
    const path = newPath();
    const request = fillRequest(path, {
      buildModel: (block) => encode(blockTruthMs(block) + (block.input.channels === 1 ? 0 : 0.5)),
      buildContext: () => encode(0.5),
      wholeSubnets: { fit: 6, check: 0 },
    });
    const { table, measured } = await fillTable(request);
    expect(new Set(Object.keys(table.contexts))).toEqual(contexts);
    expect(measured).toBe(blocks.length + contexts.size + 6);
    for (const block of blocks) {
      const { latencyMs, rawMs, contextMs, minMs, quietMs, contextQuietMs } = table.entries[block.key]!;
      expect(latencyMs).toBeCloseTo(blockTruthMs(block), 5);
      expect(minMs).toBeCloseTo(latencyMs, 5);
      expect(quietMs).toBeCloseTo(latencyMs, 5);
      expect(contextQuietMs).toBe(contextMs);
      expect(contextMs).toBe(block.input.channels === 1 ? undefined : 0.5);
      expect(rawMs).toBeCloseTo(latencyMs + (contextMs ?? 0), 5);
    }
    expect(measuredTable(await readTable(path))).toEqual(table);
    // Blocks that were timed alone are another table's.
    const bare = { ...fillRequest(path), imageSizes: [20, 24] };
    await expect(fillTable(bare)).rejects.toThrow('its blocks were timed between other layers');
  });

  it('that cannot be measured fail their blocks, and only those', async () => {
    const path = newPath();
    const [broken] = contexts;
    const { table, failures } = await fillTable(
      fillRequest(path, {
        buildContext: () => encode(0.5),
        connection: truthfulDevice(new Set([`context ${broken!}`])),
      }),
    );
    const theirs = blocks.filter(({ input }) => shapeKey(input) === broken).map(({ key }) => key);
    expect([...failures.keys()].sort()).toEqual([`context ${broken!}`, ...theirs].sort());
    expect(Object.keys(table.entries)).toHaveLength(blocks.length - theirs.length);
  });

  it('leave a latency above 0, flagged, where they are all there is', async () => {
    const { table } = await fillTable(fillRequest(newPath()));
    const [entry] = Object.values(table.entries);
    const rest = withoutContext(entry!, { latencyMs: 2 * entry!.latencyMs, quietMs: 2 * entry!.quietMs! });
    expect(rest.latencyMs).toBeGreaterThan(0);
    expect(rest.quietMs).toBeGreaterThan(0);
    expect(rest.flags).toEqual(['belowOverhead']);
    // Files of before quiet times were kept: none is made up.
    const { quietMs: _absent, ...old } = entry!;
    expect(withoutContext(old, entry!)).not.toHaveProperty('quietMs');
    expect(withoutContext(entry!, { latencyMs: 1e-6 })).not.toHaveProperty('quietMs');
  });
});

describe('drift', () => {
  const result = (sentinelMs: number, flags: LatencyMeasurement['flags'] = []) => ({ sentinelMs, flags });

  it('is a flag of the job, or a fixed model that took another time than in the rest of the table', () => {
    expect(hasDrifted(result(2), 2.05, 0.03)).toBe(false);
    expect(hasDrifted(result(2), 2.1, 0.03)).toBe(true);
    expect(hasDrifted(result(2, ['drift']), 2, 0.03)).toBe(true);
    const [quiet, slow, slower] = [result(2), result(2.5), result(3)];
    expect(steadier(slow, quiet, 2, 0.03)).toBe(quiet);
    expect(steadier(quiet, slow, 2, 0.03)).toBe(quiet);
    expect(steadier(slower, slow, 2, 0.03)).toBe(slow);
    expect(steadier(slow, slower, 2, 0.03)).toBe(slow);
  });

  it('of a machine that a busy process slowed for a while is measured again, and nothing of it stays', async () => {
    // Each job is steady in itself: only the table can see that some were slower.
    const device = truthfulDevice(new Set(), (measured) => (measured >= 8 && measured < 14 ? 1.3 : 1));
    const { table, measured, drifted } = await fillTable(
      fillRequest(newPath(), { connection: device, wholeSubnets: { fit: 7, check: 5 } }),
    );
    expect(measured).toBe(blocks.length + 12 + 6);
    expect(drifted).toEqual([]);
    for (const block of blocks)
      expect(table.entries[block.key]!.latencyMs).toBeCloseTo(blockTruthMs(block), 5);
    for (const { architecture, latencyMs, flags } of table.wholeSubnets) {
      expect(latencyMs).toBeCloseTo(networkTruthMs(tiny, fromFile(architecture), 0.02), 5);
      expect(flags).toEqual([]);
    }
  });

  it('that does not end is flagged and said, and mended by the next call', async () => {
    const path = newPath();
    const warn = vi.fn();
    const stuck = truthfulDevice(new Set(), (measured) => (measured >= 20 ? 1.3 : 1));
    const first = await fillTable(
      fillRequest(path, { connection: stuck, logger: { ...silentLogger, warn } }),
    );
    expect(first.drifted.length).toBeGreaterThan(0);
    expect(warn).toHaveBeenCalledWith(expect.stringMatching(/faster or slower than usual/));
    const flaggedKeys = Object.entries(first.table.entries)
      .filter(([, { flags }]) => flags.includes('drift'))
      .map(([key]) => key);
    expect(flaggedKeys.sort()).toEqual([...first.drifted].sort());
    let left = first.drifted.length;
    for (let call = 0; call < 4 && left > 0; call++) {
      // On a machine as it was when most was measured.
      const usual =
        first.table.entries[blocks.find(({ key }) => !flaggedKeys.includes(key))!.key]!.sentinelMs / 2;
      const again = await fillTable(
        fillRequest(path, { connection: truthfulDevice(new Set(), () => usual) }),
      );
      expect(again.drifted.length).toBeLessThan(left);
      left = again.drifted.length;
    }
    expect(left).toBe(0);
  });
});

describe('few-shot', () => {
  const source = distilSource('known', tiny, {
    name: 'truth',
    crossValidatedMape: null,
    predict: (arch) => ({ latencyMs: 2 * networkTruthMs(tiny, arch, 0), intervalMs: null }),
    state: () => null,
  });

  it('measures no block, learns from other devices, and answers', async () => {
    const path = newPath();
    const request = fillRequest(path, {
      blocks: false,
      imageSizes: [20, 24, 28],
      sources: [source],
      wholeSubnets: { fit: 10, check: 40 },
    });
    const { table, measured } = await fillTable(request);
    expect(measured).toBe(50);
    expect(table.entries).toEqual({});
    expect(table.sources).toEqual([source]);
    expect(table.predictor!.name).toBe('transfer');
    const { errors, method } = validateTable(measuredTable(await readTable(path)));
    expect(method).toBe('transfer');
    expect(errors.mape).toBeLessThan(5);
    expect(errors.spearman).toBeGreaterThan(0.95);
    // Again, with more: what is there stays, the rest is added.
    const more = await fillTable({ ...request, wholeSubnets: { fit: 14, check: 40 } });
    expect(more.measured).toBe(4);
    expect(more.table.wholeSubnets.slice(0, 50)).toEqual(table.wholeSubnets);
    expect(() => new LatencyQuery(measuredTable(more.table), 'table')).toThrow('and a table of blocks');
  });
});

describe('whole subnets in several passes', () => {
  const wholeSubnets = { fit: 4, check: 3 };
  const request = (path: string, change: Partial<FillRequest> = {}): FillRequest =>
    fillRequest(path, { blocks: false, wholeSubnets, subnetPasses: 3, ...change });

  it('are each measured once in every pass, and count by their mean', async () => {
    // Slower from pass to pass, which the fixed model does not show.
    const networks = new Map<string, number>();
    let call = 0;
    const table = await fillTable(
      request(newPath(), {
        connection: truthfulDevice(),
        buildNetwork: (arch) => {
          const pass = Math.floor(call++ / 7);
          const truth = networkTruthMs(tiny, arch, 0);
          networks.set(architectureKey(tiny.genes, arch), truth);
          return encode(truth * [0.9, 1, 1.1][pass]!);
        },
      }),
    ).then(({ table: filled }) => filled);
    expect(call).toBe(21);
    expect(table.wholeSubnets).toHaveLength(21);
    const examples = [...tableExamples(table, 'fit'), ...tableExamples(table, 'check')];
    expect(examples).toHaveLength(7);
    for (const { architecture, latencyMs } of examples) {
      const truth = networks.get(architectureKey(tiny.genes, architecture))!;
      expect(latencyMs / truth).toBeCloseTo((0.9 * 1 * 1.1) ** (1 / 3), 3);
    }
    // Pass after pass: the first seven records are of seven subnets.
    const keys = table.wholeSubnets.map(({ architecture }) =>
      architectureKey(tiny.genes, fromFile(architecture)),
    );
    for (const start of [0, 7, 14]) expect(new Set(keys.slice(start, start + 7)).size).toBe(7);
    // That whole passes differ is no noise of a network's measurement.
    const passes = agreementOfPasses(table);
    expect(passes).toMatchObject({ networks: 7, passes: 3 });
    expect(passes!.deviationPercent).toBeLessThan(0.1);
    expect(passes!.kendallTau).toBeGreaterThan(0.99);
  });

  it('go on where they were stopped, and are added to a table of fewer', async () => {
    const path = newPath();
    const first = truthfulDevice();
    const once = await fillTable(request(path, { connection: first, subnetPasses: 1 }));
    expect(first.measured).toHaveLength(7);
    expect(agreementOfPasses(once.table)).toBeNull();
    const controller = new AbortController();
    const stopping = truthfulDevice(new Set(), (measured) => {
      if (measured === 5) controller.abort();
      return 1;
    });
    await expect(
      fillTable(request(path, { connection: stopping, signal: controller.signal })),
    ).rejects.toThrow(InterruptedError);
    const third = truthfulDevice();
    const { table } = await fillTable(request(path, { connection: third }));
    expect(table.wholeSubnets).toHaveLength(21);
    expect(stopping.measured.length + third.measured.length).toBe(14);
    const more = await fillTable(request(path, { wholeSubnets: { fit: 5, check: 3 } }));
    expect(more.measured).toBe(3);
  });

  it('leave out what failed in the first', async () => {
    const path = newPath();
    const { table } = await fillTable(request(path, { subnetPasses: 1 }));
    const id = `subnet ${architectureKey(tiny.genes, fromFile(table.wholeSubnets[0]!.architecture))}`;
    const device = truthfulDevice(new Set([id]));
    const { failures, table: other } = await fillTable(request(newPath(), { connection: device }));
    expect([...failures.keys()]).toEqual([id]);
    expect(other.wholeSubnets).toHaveLength(18);
  });
});

describe('the predictor in a table', () => {
  it('answers as the one that is fitted anew, and is not taken where the table has changed', async () => {
    const path = newPath();
    const { table } = await fillTable(fillRequest(path, { wholeSubnets: { fit: 20, check: 5 } }));
    expect(table.predictor!.name).toBe('corrected-table');
    const kept = new LatencyQuery(measuredTable(await readTable(path)));
    const { predictor: _, ...without } = table;
    const arch = { ...tiny.largest, imageSize: 20 };
    expect(kept.architecture(arch)).toEqual(new LatencyQuery(without).architecture(arch));
    const slower = structuredClone(table);
    for (const subnet of slower.wholeSubnets) {
      subnet.latencyMs *= 2;
      subnet.quietMs! *= 2;
    }
    const answer = new LatencyQuery(slower).architecture(arch).latencyMs;
    expect(answer / kept.architecture(arch).latencyMs).toBeCloseTo(2, 1);
    expect(latencyTableSchema.parse(JSON.parse(formatTable(table)))).toEqual(table);
  });

  it('is refused where its state is not one', async () => {
    const path = newPath();
    await fillTable(fillRequest(path, { wholeSubnets: { fit: 20, check: 0 } }));
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace('"state":{"model":{', '"state":{"model":{"more":1,'));
    const table = measuredTable(await readTable(path));
    expect(() => new LatencyQuery(table)).toThrow(/the state of latency predictor "corrected-table"/);
  });
});
