/** Tables that lack image sizes or blocks: what they can answer, against a list of all networks. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ImportedTable } from '../../src/latency/imported.js';
import { distinctBlocks } from '../../src/latency/blocks.js';
import { latencyFunction, LatencyQuery, openLatencyTable } from '../../src/latency/query.js';
import { tablePath } from '../../src/latency/table.js';
import { strategies } from '../../src/search/strategies/index.js';
import { search, searchObjectives } from '../../src/search/search.js';
import { latencyQuantity, rememberByKey } from '../../src/search/quantity.js';
import type { Architecture } from '../../src/space/architecture.js';
import { architectureKey } from '../../src/space/canonical.js';
import { networkCosts } from '../../src/space/costs.js';
import { enumerateArchitectures } from '../../src/space/enumerate.js';
import { geneValue, isActive } from '../../src/space/gene.js';
import { createSpace, type SearchSpace } from '../../src/space/space.js';
import { UserError } from '../../src/util/errors.js';
import { warnOnce, silentLogger } from '../../src/util/logger.js';
import { shippedSpace, smallSpace, tinyResnet } from '../support/spaces.js';

const small = smallSpace();

/** Of the space's image sizes `sizes`; a block at a size is there unless `without` says so. */
function tableOf(
  space: SearchSpace,
  sizes: readonly number[],
  without: (key: string, size: number, index: number) => boolean = () => false,
): ImportedTable {
  const own = createSpace(space.file, { imageSizes: sizes });
  const entries = sizes.map((size) => {
    const blocks = distinctBlocks(own, [size]).filter(({ key }, i) => !without(key, size, i));
    const part = (key: string): { count: number; meanMs: number; stdMs: null } => ({
      count: 1,
      meanMs: 0.1 + (key.length % 7) / 10,
      stdMs: null,
    });
    return [size, Object.fromEntries(blocks.map(({ key }) => [key, [part(key)]]))];
  });
  return {
    format: 'ofakit.imported-latency-table/1',
    device: { name: 'phone' },
    origin: { source: 'tests', licence: 'none', note: '' },
    space: own.file,
    batch: 1,
    entries: Object.fromEntries(entries) as ImportedTable['entries'],
  };
}

/** By the table's definition: every block of the network is there, at its size. */
function answered(table: ImportedTable, space: SearchSpace, arch: Architecture): boolean {
  const entries = table.entries[arch.imageSize];
  return entries !== undefined && space.network(arch).blocks.every(({ key }) => key in entries);
}

const accuracy = (archs: readonly Architecture[], space = small): number[] =>
  archs.map((arch) => networkCosts(space.network(arch)).macs + Math.sin(arch.ks.join().length));

describe('what a table can answer', () => {
  it.each([
    ['mbconv', small],
    ['resnet', tinyResnet({ imageSizes: [16, 24], width: 2 })],
  ])('is said exactly, whatever a table of %s networks lacks', (_, space) => {
    const all = [...enumerateArchitectures(space.genes)];
    const count = distinctBlocks(space, [16]).length;
    fc.assert(
      fc.property(
        fc.subarray([16, 24], { minLength: 1 }),
        fc.uniqueArray(fc.tuple(fc.constantFrom(16, 24), fc.nat(count - 1)), { maxLength: 6 }),
        (sizes, holes) => {
          const table = tableOf(space, sizes, (_key, size, index) =>
            holes.some(([at, block]) => at === size && block === index),
          );
          const query = new LatencyQuery(table);
          const known = all.filter((arch) => answered(table, space, arch));
          if (known.length === 0) {
            expect(() => query.coverage(space.genes)).toThrow(UserError);
            return;
          }
          const { genes, lacks = () => 0, leftOut } = query.coverage(space.genes);
          space.genes.forEach((gene, i) => {
            const needed = known.filter((arch) => isActive(arch, gene)).map((arch) => geneValue(arch, gene));
            const wanted = gene.choices.filter((choice) => needed.includes(choice));
            expect(genes[i]!.choices).toEqual(wanted.length > 0 ? wanted : [gene.choices[0]]);
          });
          const kept = [...enumerateArchitectures(genes)].filter((arch) => lacks(arch) === 0);
          const keys = (archs: readonly Architecture[]): string[] =>
            archs.map((arch) => architectureKey(space.genes, arch)).sort();
          expect(keys(kept)).toEqual(keys(known));
          expect(leftOut === undefined).toBe(known.length === all.length);
          expect(latencyFunction(query)(all).map(Number.isFinite)).toEqual(
            all.map((arch) => answered(table, space, arch)),
          );
        },
      ),
      { numRuns: 12 },
    );
  });

  it('is said in one line', () => {
    const lines = (table: ImportedTable): string | undefined =>
      new LatencyQuery(table).coverage(small.genes).leftOut;
    expect(lines(tableOf(small, [24]))).toBe('The latency table of device "phone" leaves out: image_size 16');
    expect(lines(tableOf(small, [16, 24], (key) => key.includes('k5')))).toMatch(/leaves out: ks 5$/);
    expect(lines(tableOf(small, [16, 24]))).toBeUndefined();
  });

  it('of the Note10 is all but eight image sizes', async () => {
    const query = await openLatencyTable(tablePath('note10', 'ofa-mbv3'));
    const space = shippedSpace('ofa-mbv3', { width: 1.2 });
    const { genes, lacks, leftOut } = query.coverage(space.genes);
    expect(leftOut).toMatch(/leaves out: image_size 128, 132, 136, 140, 144, 148, 152, 156$/);
    expect(lacks).toBeUndefined();
    expect(genes.slice(1)).toEqual(space.genes.slice(1));
  });

  it('is an error only where nothing is left', () => {
    const query = new LatencyQuery(tableOf(small, [24]));
    const only16 = small.genes.map((gene) => (gene.list === 'imageSize' ? { ...gene, choices: [16] } : gene));
    expect(() => query.coverage(only16)).toThrow(
      /Cannot search space "small" by the latency table of device "phone": it must answer for some of image_size 16: it has 24;/,
    );
    const none = new LatencyQuery(tableOf(small, [16, 24], (_, __, index) => index === 0));
    expect(() => none.coverage(small.genes)).toThrow(/it must have all blocks of at least one network/);
  });
});

describe('searches by a table that lacks something', () => {
  const table = tableOf(small, [24], (key, _, index) => key.includes('k5') && index % 3 === 0);
  const query = new LatencyQuery(table);
  const known = [...enumerateArchitectures(small.genes)].filter((arch) => answered(table, small, arch));
  const latencies = latencyFunction(query)(known);
  const limit = [...latencies].sort((a, b) => a - b)[latencies.length >> 1]!;
  const within = known.filter((_, i) => latencies[i]! <= limit);
  const best = Math.max(...accuracy(within));

  it.each([...strategies.values()].filter(({ needs }) => needs === undefined).map(({ name }) => name))(
    '%s finds the best of what is known',
    async (strategy) => {
      const warnings: string[] = [];
      const found = await search({
        space: small,
        predictAccuracy: (archs) => accuracy(archs),
        predictLatencyMs: latencyFunction(query),
        constraints: { latencyMs: limit },
        strategy,
        budget: 400,
        logger: { ...silentLogger, warn: (line) => warnings.push(line) },
      });
      expect(found.best.accuracy).toBe(best);
      expect(warnings).toEqual(found.leftOut);
      expect(found.leftOut).toEqual([expect.stringContaining('image_size 16')]);
    },
  );

  it('give the front of what is known, also through a memory', async () => {
    const predictLatencyMs = rememberByKey(small.genes, latencyFunction(query));
    const { front } = await search({
      space: small,
      predictAccuracy: (archs) => accuracy(archs),
      predictLatencyMs,
      pareto: true,
    });
    const top = accuracy(known);
    const wanted = known.filter((_, i) =>
      known.every(
        (__, j) =>
          top[j]! < top[i]! ||
          latencies[j]! > latencies[i]! ||
          (top[j] === top[i] && latencies[j] === latencies[i]),
      ),
    );
    expect(new Set(front.map(({ latencyMs }) => latencyMs))).toEqual(
      new Set(wanted.map((arch) => query.architecture(arch).latencyMs)),
    );
  });

  it('end with an error where two tables have nothing in common', async () => {
    const of = (size: number, name: string) =>
      latencyQuantity(latencyFunction(new LatencyQuery(tableOf(small, [size]))), name);
    await expect(
      searchObjectives({ space: small, objectives: [of(16, 'a'), of(24, 'b')], strategy: 'nsga2' }),
    ).rejects.toThrow(UserError);
  });
});

it('a warning is said once', () => {
  const said: string[] = [];
  const logger = warnOnce({ ...silentLogger, warn: (line) => said.push(line) });
  for (const line of ['a', 'b', 'a']) logger.warn(line);
  expect(said).toEqual(['a', 'b']);
});
