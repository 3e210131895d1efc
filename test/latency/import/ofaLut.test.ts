import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, afterAll, describe, expect, it } from 'vitest';
import { loadDevice } from '../../../src/device/profile.js';
import { connectDevice } from '../../../src/device/transports.js';
import { fillTable } from '../../../src/latency/fill.js';
import { latencyImportByName } from '../../../src/latency/import/index.js';
import { readLutFiles, type LutRows } from '../../../src/latency/import/lutFiles.js';
import type { ImportResult } from '../../../src/latency/import/format.js';
import type { ImportedTable } from '../../../src/latency/imported.js';
import { LatencyQuery, openLatencyTable } from '../../../src/latency/query.js';
import { validateTable } from '../../../src/latency/validate.js';
import {
  formatTable,
  latencyTableSchema,
  readTable,
  tablePath,
  writeTable,
} from '../../../src/latency/table.js';
import type { Architecture } from '../../../src/space/architecture.js';
import { sampleArchitecture } from '../../../src/space/sampling.js';
import type { SearchSpace } from '../../../src/space/space.js';
import { networkFromConfig } from '../../../src/space/staticNetwork.js';
import { UserError } from '../../../src/util/errors.js';
import { createRandom } from '../../../src/util/random.js';
import { publishedConfig, publishedNets } from '../../support/netConfig.js';
import { sharedData } from '../../support/sharedData.js';
import { shippedSpace } from '../../support/spaces.js';
import { fillRequest } from '../world.js';

const note10Path = sharedData('ofa-mbv3-note10-lut.csv');
const proxylessPath = sharedData('proxylessnas-mobile-lut.csv');
const publishedPath = sharedData('ofa-specialized-nets.json');

const mbv3 = shippedSpace('ofa-mbv3', { width: 1.2 });
const proxyless = shippedSpace('ofa-proxyless', { width: 1, imageSizes: [224] });

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ofakit-import-'));
});
afterAll(() => rm(folder, { recursive: true }));

const origin = { source: 'tests', licence: 'none', note: '' };
function importFiles(files: readonly string[], space: SearchSpace): Promise<ImportResult> {
  return latencyImportByName('ofa-lut').read({ files, device: 'phone', space, origin, batch: 1 });
}

type Lut = Map<string, { count: number; mean: number; std: number | null }>;

/** The CSV, by a reader of its own. */
async function lutsOf(path: string): Promise<Map<number, Lut>> {
  const luts = new Map<number, Lut>();
  const [head = '', ...lines] = (await readFile(path, 'utf8')).trim().split('\n');
  const column = new Map(head.split(',').map((name, i) => [name, i]));
  for (const line of lines) {
    const cells = line.split(',');
    const cell = (name: string): string => cells[column.get(name)!]!;
    const size = Number(cell('resolution'));
    if (!luts.has(size)) luts.set(size, new Map());
    const std = cell('std_ms') === '' ? null : Number(cell('std_ms'));
    luts.get(size)!.set(cell('key'), { count: Number(cell('count')), mean: Number(cell('mean_ms')), std });
  }
  return luts;
}

/** The reference's form of such a table. */
const yamlOf = (lut: Lut): string =>
  [...lut]
    .map(
      ([key, { count, mean, std }]) =>
        `${key}:\n  count: ${count}\n  mean: ${mean}\n  std: ${std ?? 'null'}\n`,
    )
    .join('');

/** Widths, strides, squeeze-excite and h_swish of the stages (`EN/networks/ofa_mbv3.py`, width 1.2; all middle channels are whole). */
const MBV3 = {
  stem: 24,
  first: 24,
  out: [32, 48, 96, 136, 192],
  stride: [2, 2, 2, 1, 2],
  se: [0, 1, 0, 1, 1],
  hs: [0, 0, 1, 1, 1],
};
const PROXYLESS = { stem: 32, first: 16, out: [24, 40, 80, 96, 192, 320], stride: [2, 2, 2, 1, 2, 1] };

/** What `predict_network_latency` of the reference's tables adds up; undefined where the table lacks a key. */
function referenceSum(lut: Lut, form: 'mbv3' | 'proxyless', arch: Architecture): number | undefined {
  const { imageSize, ks, e, d } = arch;
  const net = form === 'mbv3' ? MBV3 : PROXYLESS;
  const keys: string[] = [];
  let size = Math.floor((imageSize + 1) / 2);
  keys.push(`Conv-input:${imageSize}x${imageSize}x3-output:${size}x${size}x${net.stem}`);
  const block = (
    input: number,
    output: number,
    ratio: number,
    k: number,
    s: number,
    skip: number,
    tail: string,
  ): void => {
    const out = Math.trunc((size - 1) / s + 1);
    const expand = form === 'mbv3' ? input * ratio : ratio;
    keys.push(
      `expanded_conv-input:${size}x${size}x${input}-output:${out}x${out}x${output}-expand:${expand}-kernel:${k}-stride:${s}-idskip:${skip}${tail}`,
    );
    size = out;
  };
  const tail = (stage: number): string =>
    form === 'mbv3' ? `-se:${MBV3.se[stage]!}-hs:${MBV3.hs[stage]!}` : '';
  block(net.stem, net.first, 1, 3, 1, form === 'mbv3' ? 1 : 0, form === 'mbv3' ? '-se:0-hs:0' : '');
  let input = net.first;
  net.out.forEach((output, stage) => {
    for (let b = 0; b < d[stage]!; b++) {
      const slot = 4 * stage + b;
      const stride = b === 0 ? net.stride[stage]! : 1;
      const skip = stride === 1 && input === output ? 1 : 0;
      block(input, output, e[slot]!, ks[slot]!, stride, skip, tail(stage));
      input = output;
    }
  });
  const shape = `${size}x${size}x`;
  if (form === 'mbv3') {
    keys.push(
      `Conv_1-input:${shape}192-output:${shape}1152`,
      `AvgPool2D-input:${shape}1152-output:1x1x1152`,
      'Conv_2-input:1x1x1152-output:1x1x1536',
      'Logits-input:1x1x1536-output:1000',
    );
  } else {
    keys.push(`Conv_1-input:${shape}320-output:${shape}1280`, `Logits-input:${shape}1280-output:1000`);
  }
  let sum = 0;
  for (const key of keys) {
    const row = lut.get(key);
    if (row === undefined) return undefined;
    sum += row.mean;
  }
  return sum;
}

describe.skipIf(note10Path === undefined)('the Note10 table of OFA', () => {
  let luts: Map<number, Lut>;
  let result: ImportResult;
  let query: LatencyQuery;
  beforeAll(async () => {
    luts = await lutsOf(note10Path!);
    result = await importFiles([note10Path!], mbv3);
    query = new LatencyQuery(result.table);
  });

  it('has every block of the space at every image size, and nothing else', () => {
    expect(result.missing.size).toBe(0);
    expect(result.unused).toBe(0);
    const sizes = Object.keys(result.table.entries).map(Number);
    expect(sizes).toEqual(Array.from({ length: 17 }, (_, i) => 160 + 4 * i));
    expect(result.table.space.imageSizes).toEqual(sizes);
  });

  it("gives the reference's number for any architecture", () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const arch = sampleArchitecture(query.space.genes, createRandom(seed));
        const answer = query.architecture(arch);
        expect(answer.latencyMs).toBeCloseTo(referenceSum(luts.get(arch.imageSize)!, 'mbv3', arch)!, 9);
        expect(answer).toMatchObject({ intervalMs: null, method: 'table', device: 'phone' });
      }),
    );
  });

  it.skipIf(publishedPath === undefined)(
    'agrees with the latencies that published networks are named after',
    () => {
      const expected = new Map([
        [30, 29.97],
        [41, 39.91],
        [50, 49.78],
      ]);
      const nets = publishedNets(publishedPath!).filter(
        ({ device, latency_ms }) => device === 'note10' && expected.has(latency_ms ?? 0),
      );
      expect(nets).toHaveLength(3);
      for (const net of nets) {
        const network = networkFromConfig(publishedConfig(net), { image_size: net.resolution });
        expect(query.network(network).latencyMs).toBeCloseTo(expected.get(net.latency_ms!)!, 2);
      }
      const [net] = nets;
      expect(() => query.network(networkFromConfig(publishedConfig(net!), { image_size: 260 }))).toThrow(
        /image size 260: .* has 160, 164, .*, 224$/,
      );
    },
  );

  it('is the table that ships', async () => {
    const shipped = await readTable(tablePath('note10', 'ofa-mbv3'));
    expect(shipped).toMatchObject({
      origin: { licence: 'Apache-2.0' },
      device: { name: 'note10' },
      batch: 1,
    });
    expect(shipped.entries).toEqual(result.table.entries);
    expect(shipped.space).toEqual(result.table.space);
  });

  it("is read from the reference's own YAML files as well", async () => {
    const files = [160, 224].map((size) => join(folder, `${size}_lookup_table.yaml`));
    await Promise.all([160, 224].map((size, i) => writeFile(files[i]!, yamlOf(luts.get(size)!))));
    const { table } = await importFiles(files, mbv3);
    const { entries } = result.table;
    expect(table.entries).toEqual({ 160: entries[160], 224: entries[224] });
  });

  it('survives being written and read', async () => {
    const path = join(folder, 'note10.json');
    await writeTable(path, result.table);
    expect(await readTable(path)).toEqual(result.table);
    const text = await readFile(path, 'utf8');
    expect(text).toBe(formatTable(latencyTableSchema.parse(JSON.parse(text))));
    const { largest } = query.space;
    expect((await openLatencyTable(path)).architecture(largest)).toEqual(query.architecture(largest));
  });

  it('answers for blocks, and asks which image size is meant', () => {
    const stem = 'conv-in3x224x224-out24-k3-s2-h_swish';
    expect(query.block(stem)).toMatchObject({ imageSize: 224, latencyMs: 0.994418 });
    const last = 'mbconv-in192x7x7-out192-mid576-k3-s1-h_swish-se-res';
    expect(query.block(last, 224)).toMatchObject({ latencyMs: 0.9569904761904761 });
    expect(() => query.block(last)).toThrow(/has it at 196, 200, .*, 224; say one with --image-size/);
    expect(() => query.block('conv-in3x9x9')).toThrow(/"conv-in3x9x9": .* does not have it$/);
    expect(() => query.block(stem, 128)).toThrow(/image size 128: .* has 160, 164/);
  });

  it('says which block a table lacks', async () => {
    const lut = new Map(luts.get(224));
    const gone =
      'expanded_conv-input:112x112x24-output:56x56x32-expand:144-kernel:7-stride:2-idskip:0-se:0-hs:0';
    expect(lut.delete(gone)).toBe(true);
    const file = join(folder, 'gap.yaml');
    await writeFile(file, yamlOf(lut));
    const { table, missing } = await importFiles([file], mbv3);
    const key = 'mbconv-in24x112x112-out32-mid144-k7-s2-relu';
    expect([...missing]).toEqual([[224, [key]]]);
    const gap = new LatencyQuery(table);
    expect(() => gap.architecture(gap.space.largest)).toThrow(UserError);
    expect(() => gap.architecture(gap.space.largest)).toThrow(`"${key}"`);
    expect(gap.architecture(gap.space.smallest).latencyMs).toBeGreaterThan(0);
  });

  it('refuses a space of another width, and a table without its head', async () => {
    await expect(importFiles([note10Path!], shippedSpace('ofa-mbv3'))).rejects.toThrow(
      /of width 1: .*"Conv-input:160x160x3-output:80x80x16" \(block "stem"\): it is not there; is --width/,
    );
    const lut = new Map(luts.get(224));
    lut.delete('Conv_2-input:1x1x1152-output:1x1x1536');
    const file = join(folder, 'headless.yaml');
    await writeFile(file, yamlOf(lut));
    await expect(importFiles([file], mbv3)).rejects.toThrow(
      /must have "Conv_2-input:1x1x1152-output:1x1x1536" \(block "classifier"\)/,
    );
  });
});

describe.skipIf(proxylessPath === undefined)('the mobile table of ProxylessNAS', () => {
  it("gives the reference's number where it has all blocks, and an error elsewhere", async () => {
    const lut = (await lutsOf(proxylessPath!)).get(224)!;
    const { table, missing } = await importFiles([proxylessPath!], proxyless);
    // It has expand ratios 3 and 6 only.
    expect(missing.get(224)!.length).toBeGreaterThan(0);
    const query = new LatencyQuery(table);
    let answered = 0;
    fc.assert(
      fc.property(fc.integer(), fc.boolean(), (seed, any) => {
        const drawn = sampleArchitecture(query.space.genes, createRandom(seed));
        const arch = any ? drawn : { ...drawn, e: drawn.e.map((v) => (v === 4 ? 6 : v)) };
        const wanted = referenceSum(lut, 'proxyless', arch);
        if (wanted === undefined) {
          expect(() => query.architecture(arch)).toThrow(/Cannot look up block "mbconv-/);
          return;
        }
        answered++;
        expect(query.architecture(arch).latencyMs).toBeCloseTo(wanted, 9);
      }),
    );
    expect(answered).toBeGreaterThan(20);
  });
});

describe('files', () => {
  const conv = 'Conv-input:224x224x3-output:112x112x24';
  const csvHead = 'resolution,key,count,mean_ms,std_ms';
  it.each([
    ['a.txt', '', /must end in \.csv, \.yaml, \.yml/],
    ['a.csv', '', /must have the columns .*: resolution, key, count, mean_ms, std_ms missing/],
    ['a.csv', csvHead, /there are no entries/],
    ['a.csv', `${csvHead}\n224,${conv},5,,0.1`, /a\.csv, line 2 at "mean_ms": it must not be empty/],
    ['a.csv', `${csvHead}\n224,${conv},5,x,0.1`, /a\.csv, line 2 at "mean_ms"/],
    ['a.csv', `${csvHead}\n224,${conv},5,0.4,x`, /line 2, std_ms/],
    ...['0x10', '1_000', 'NaN', 'Infinity', '-0.4', '1e999', ' '].map((cell): [string, string, RegExp] => [
      'a.csv',
      `${csvHead}\n\n224,${conv},5,${cell},0.1`,
      /a\.csv, line 3 at "mean_ms": it must (be a decimal number of at least 0, such as 0\.25: it is ".*"|not be empty.*)$/,
    ]),
    ['a.csv', `${csvHead}\n0xe0,${conv},5,0.4,0.1`, /line 2 at "resolution": .*it is "0xe0"/],
    ['a.csv', `${csvHead}\n224,${conv},0x5,0.4,0.1`, /line 2 at "count": .*it is "0x5"/],
    ['a.csv', `${csvHead}\n224,${conv},2.5,0.4,0.1`, /line 2 at "count"/],
    ['a.csv', `${csvHead}\n224,${conv},5,0.4,0x1`, /line 2, std_ms.*it is "0x1"/],
    ['a.csv', `${csvHead}\n224,${conv},5,1,234,0.1`, /line 2: it must have 5 plain values: it has 6/],
    ['a.csv', `${csvHead}\n224,"${conv}",5,1,0.1`, /line 2: it must have 5 plain values: it has quotes/],
    ['a.csv', `${csvHead},mean_ms\n224,${conv},5,1,0.1,2`, /each column must be there once: "mean_ms"/],
    ...['0x10', '.inf', '.nan', '-1', '1_000', '', '~'].map((mean): [string, string, RegExp] => [
      'a.yaml',
      `${conv}: {count: 5, mean: ${mean}, std: 1}`,
      /a\.yaml at "Conv-input.*mean"/,
    ]),
    [
      'a.yaml',
      `${conv}: {count: 5, mean: 1, mean: 2, std: 1}`,
      /it is not plain YAML \(Map keys must be unique/,
    ],
    ['a.csv', `${csvHead}\n224,${conv},5,0.4`, /line 2: it must have 5 plain values: it has 4/],
    [
      'a.csv',
      `${csvHead}\n${`224,${conv},5,0.4,0.1\n`.repeat(2)}`,
      /line 3: "Conv-.*twice for image size 224/,
    ],
    ['a.yaml', `${conv}: [1, 2]`, /a\.yaml at "Conv-input/],
    ['a.yaml', `${conv}: {count: 5, mean: fast, std: 1}`, /at "Conv-input.*mean"/],
    ['a.yaml', 'Conv_1-x: {count: 5, mean: 1, std: 1}', /one image size: it has 0/],
    ['a.yml', `${conv}: {count: 5, mean: 1, std: 1`, /it is not plain YAML/],
    ['a.yaml', `${conv}: !!python/object/apply:os.system [echo]`, /it is not plain YAML/],
    ['a.yaml', `${conv}: *a`, /it is not plain YAML \(Unresolved alias/],
  ])('%s with %j is refused', async (name, text, message) => {
    const file = join(folder, name);
    await writeFile(file, text);
    await expect(importFiles([file], mbv3)).rejects.toThrow(UserError);
    await expect(importFiles([file], mbv3)).rejects.toThrow(message);
  });

  it('mean the same with spaces around values, blank lines and unknown deviations', async () => {
    const texts = {
      'plain.csv': `${csvHead}\n224,${conv},5,0.4,\n`,
      'spaced.csv': ` resolution, key ,count, mean_ms,std_ms\r\n\r\n 224 ,${conv}, 5, 4e-1 , \r\n`,
      'none.yaml': `${conv}: {count: 5, mean: 0.4, std: null}`,
      'without.yaml': `${conv}:\n  count: 5\n  mean: .4\n`,
      'blank.yaml': `${conv}:\n  count: 5\n  mean: 0.40\n  std:\n`,
    };
    for (const [name, text] of Object.entries(texts)) {
      await writeFile(join(folder, name), text);
      const rows = await readLutFiles([join(folder, name)]);
      expect([...rows]).toEqual([[224, new Map([[conv, { count: 5, meanMs: 0.4, stdMs: null }]])]]);
    }
  });

  it('are numbers or refused, whatever stands in a cell', async () => {
    const file = join(folder, 'any.csv');
    await fc.assert(
      fc.asyncProperty(fc.string(), fc.nat(4), async (cell, at) => {
        const cells = ['224', conv, '5', '0.4', '0.1'];
        cells[at] = cell;
        await writeFile(file, `${csvHead}\n${cells.join(',')}`);
        const outcome = await readLutFiles([file]).catch((error: unknown) => error);
        if (outcome instanceof Error) {
          expect(outcome).toBeInstanceOf(UserError);
          return;
        }
        for (const list of (outcome as LutRows).values())
          for (const { count, meanMs, stdMs } of list.values())
            expect(
              [count, meanMs, stdMs ?? 0].every((figure) => Number.isFinite(figure) && figure >= 0),
            ).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  it('of no known format or place are refused', async () => {
    expect(() => latencyImportByName('nn-meter')).toThrow(/known are ofa-lut/);
    await expect(importFiles([join(folder, 'none.csv')], mbv3)).rejects.toThrow('there is no such file');
  });
});

describe('an imported table', () => {
  const open = async (): Promise<ImportedTable> => {
    const table = await readTable(tablePath('note10', 'ofa-mbv3'));
    if (table.format !== 'ofakit.imported-latency-table/1') throw new TypeError('it is a measured one');
    return table;
  };

  it('is not measured into, and has nothing to be validated with', async () => {
    const path = join(folder, 'imported.json');
    await writeTable(path, await open());
    await expect(fillTable(fillRequest(path))).rejects.toThrow(
      /Cannot measure into .*imported\.json: .*CompOFA/,
    );
    const table = await open();
    expect(() => validateTable(table)).toThrow(/its figures were imported, without whole subnets/);
  });

  it('answers for its own space only', async () => {
    const query = new LatencyQuery(await open());
    query.checkSpace(shippedSpace('ofa-mbv3', { width: 1.2, imageSizes: [128] }));
    for (const other of [{ width: 1 }, { width: 1.2, classes: 10 }]) {
      expect(() => query.checkSpace(shippedSpace('ofa-mbv3', other))).toThrow(
        /must be for space "ofa-mbv3" of width .*: it is for "ofa-mbv3" of width 1.2 with 1000 classes/,
      );
    }
  });

  it('belongs to a device that cannot be reached', async () => {
    const profile = await loadDevice('note10');
    await expect(connectDevice(profile)).rejects.toThrow(UserError);
    await expect(connectDevice(profile)).rejects.toThrow(/"note10": it cannot be reached from here/);
  });
});
