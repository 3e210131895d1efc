/** What others made, on the command line: imported latency tables, specialised networks, a device that nobody can reach. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { referenceKeys } from '../../src/latency/import/referenceKeys.js';
import { tablePath } from '../../src/latency/table.js';
import { networkCosts } from '../../src/space/costs.js';
import { networkFromConfig } from '../../src/space/staticNetwork.js';
import { netConfig } from '../support/netConfig.js';
import { shippedSpace } from '../support/spaces.js';
import { isOneLine, ofa } from './support/cli.js';
import { temporaryFolder } from './support/folder.js';

const path = temporaryFolder();
const note10 = tablePath('note10', 'ofa-mbv3');

async function json(args: readonly string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await ofa([...args, '--json']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as Record<string, unknown>;
}

async function failure(args: readonly string[]): Promise<{ code: number | null; stderr: string }> {
  const { code, stdout, stderr } = await ofa(args);
  expect(stdout).toBe('');
  expect(isOneLine(stderr)).toBe(true);
  return { code, stderr };
}

/** A network of which the Note10 table has every block, in the files of the reference's model zoo. */
function specialised(): { folder: string; config: unknown } {
  const folder = path('net');
  const config = netConfig({
    firstConv: 24,
    blocks: [
      [24, 24, 3, 1, 1, 24, 'relu', 0, 1],
      [24, 32, 5, 2, 4, 96, 'relu', 0, 0],
      [32, 32, 3, 1, 3, 96, 'relu', 0, 1],
      [32, 48, 7, 2, 6, 192, 'relu', 1, 0],
      [48, 96, 3, 2, 3, 144, 'h_swish', 0, 0],
      [96, 136, 3, 1, 6, 576, 'h_swish', 1, 0],
      [136, 192, 5, 2, 4, 544, 'h_swish', 1, 0],
    ],
    head: [1152, 1536],
  });
  mkdirSync(folder, { recursive: true });
  writeFileSync(path('net', 'net.config'), JSON.stringify(config));
  writeFileSync(path('net', 'run.config'), '{"image_size": 224}');
  return { folder, config };
}

it('cost of a specialised network', async () => {
  const { folder, config } = specialised();
  const { macs, params } = networkCosts(networkFromConfig(config, { image_size: 224 }));
  expect(await json(['cost', '--net', folder])).toMatchObject({
    network: folder,
    imageSize: 224,
    macs,
    params,
  });
  const smaller = await json(['cost', '--net', folder, '--image-size', '112']);
  expect(smaller).toMatchObject({ imageSize: 112, params });
  const both = await failure(['cost', '--net', folder, '--space', 'ofa-mbv3', '--arch', 'largest']);
  expect(both).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--net does not go with') as string,
  });
});

it('latency of a specialised network, and of a block at an image size', async () => {
  const { folder, config } = specialised();
  const { entries } = JSON.parse(readFileSync(note10, 'utf8')) as {
    entries: Record<string, Record<string, { meanMs: number }[]>>;
  };
  const meanOf = (key: string): number => entries['224']![key]!.reduce((sum, { meanMs }) => sum + meanMs, 0);
  const { blocks } = networkFromConfig(config, { image_size: 224 });
  const query = ['latency', 'query', '--table', note10];
  const answer = await json([...query, '--net', folder]);
  expect(answer).toMatchObject({ device: 'note10', method: 'table', intervalMs: null });
  expect(answer['latencyMs']).toBeCloseTo(
    blocks.reduce((sum, { key }) => sum + meanOf(key), 0),
    9,
  );
  const { key } = blocks.at(-1)!;
  expect(await json([...query, '--block', key, '--image-size', '224'])).toMatchObject({
    block: key,
    latencyMs: meanOf(key),
  });
  expect((await failure([...query, '--block', key])).stderr).toContain('say one with --image-size');
  expect((await failure([...query, '--net', folder, '--image-size', '128'])).stderr).toContain(
    'Cannot look up image size 128',
  );
});

it('latency import writes a table that queries read', async () => {
  const words = ['--space', 'ofa-mbv3', '--width', '0.5', '--classes', '10', '--image-sizes', '64'];
  const space = shippedSpace('ofa-mbv3', { width: 0.5, classes: 10, imageSizes: [64] });
  const keys = space.network(space.largest).blocks.flatMap((block) => referenceKeys(block, 'mbv3'));
  // Only the largest subnet's rows, and one that belongs to nothing.
  const rows = [...new Set(keys), 'Conv_3-input:1x1x1-output:1'];
  writeFileSync(
    path('64.yaml'),
    rows.map((key, i) => `${key}: {count: 5, mean: ${i + 1}, std: 0.5}\n`).join(''),
  );
  const table = path('phone.json');
  const imported = await json([
    ...['latency', 'import', '--format', 'ofa-lut', '--device', 'phone', path('64.yaml'), ...words],
    ...['--out', table, '--source', 'a paper', '--licence', 'MIT'],
  ]);
  expect(imported).toMatchObject({ table, device: 'phone', space: 'ofa-mbv3', imageSizes: [64], unused: 1 });
  expect(imported['missing']).toBeGreaterThan(0);
  expect(JSON.parse(readFileSync(table, 'utf8'))).toMatchObject({
    origin: { source: 'a paper', licence: 'MIT' },
  });
  const sum = keys.reduce((total, key) => total + rows.indexOf(key) + 1, 0);
  const query = ['latency', 'query', '--table', table, '--arch'];
  expect(await json([...query, 'largest'])).toMatchObject({ latencyMs: sum, device: 'phone' });
  expect((await failure([...query, 'smallest'])).stderr).toMatch(/Cannot look up block "mbconv-/);
});

it('a device that only others could measure', async () => {
  const { code, stderr } = await failure(['device', 'check', 'note10']);
  expect(code).toBe(1);
  expect(stderr).toContain('"note10": it cannot be reached from here');
});
