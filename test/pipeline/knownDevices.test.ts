import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { fillTable } from '../../src/latency/fill.js';
import { openLatencyTable } from '../../src/latency/query.js';
import { predictorContext } from '../../src/latency/context.js';
import { weighGenes } from '../../src/latency/geneWeights.js';
import { knownDevices } from '../../src/pipeline/measure.js';
import { loadSpace } from '../../src/space/presets.js';
import { sampleArchitecture } from '../../src/space/sampling.js';
import { UserError } from '../../src/util/errors.js';
import { createRandom } from '../../src/util/random.js';
import { fillRequest, tiny } from '../latency/world.js';

let folder: string;
let path: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ofakit-known-'));
  path = join(folder, 'table.json');
  await fillTable(
    fillRequest(path, { imageSizes: tiny.parameters.imageSizes, wholeSubnets: { fit: 20, check: 0 } }),
  );
});
afterAll(() => rm(folder, { recursive: true }));

it('says what a table says, within a few percent, without the table', async () => {
  const [source] = await knownDevices(tiny, [path]);
  expect(source!.device).toBe('local-cpu');
  const table = await openLatencyTable(path);
  const context = predictorContext({ space: tiny });
  const random = createRandom('known devices');
  for (let i = 0; i < 50; i++) {
    const arch = sampleArchitecture(tiny.genes, random);
    const ratio = weighGenes(source!.weights, context.facts(arch).genes) / table.architecture(arch).latencyMs;
    expect(Math.abs(ratio - 1)).toBeLessThan(0.05);
  }
});

it('serves a space of another width, and refuses one of other choices', async () => {
  expect(await knownDevices(await loadSpace('mbv3-tiny', { width: 2 }), [path])).toHaveLength(1);
  const other = await loadSpace('mbv3-cifar');
  await expect(knownDevices(other, [path])).rejects.toThrow(UserError);
  await expect(knownDevices(other, [path])).rejects.toThrow(
    'it must be for the choices of space "mbv3-cifar": it is for "mbv3-tiny"',
  );
  await expect(knownDevices(tiny, [join(folder, 'none.json')])).rejects.toThrow('there is no such file');
});
