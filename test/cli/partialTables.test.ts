/** Tables of one image size each, and tables that lack a block: searches do with what they have, and say what that is. */
import { readFileSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { distinctBlocks } from '../../src/latency/blocks.js';
import { referenceKeys } from '../../src/latency/import/referenceKeys.js';
import { readTable } from '../../src/latency/table.js';
import { blockCosts } from '../../src/space/costs.js';
import { smallSpace } from '../support/spaces.js';
import { isOneLine, ofa } from './support/cli.js';
import { makeRun, makeTable } from './support/fixture.js';
import { temporaryFolder } from './support/folder.js';

const path = temporaryFolder();
const space = smallSpace();

/** The reference's form of a lookup table, of one image size. */
function writeLut(file: string, imageSize: number): void {
  const lines = new Map<string, number>();
  for (const block of distinctBlocks(space, [imageSize]))
    for (const key of referenceKeys(block, 'mbv3')) lines.set(key, 0.01 + blockCosts(block).macs / 1e6);
  const text = [...lines].map(([key, ms]) => `${key}:\n  count: 10\n  mean: ${ms}\n  std: 0.01\n`);
  writeFileSync(file, text.join(''));
}

beforeAll(async () => {
  await makeRun(path('run'), 'mnist', 60, space);
  writeFileSync(path('space.json'), JSON.stringify(space.file));
  for (const size of [16, 24]) {
    writeLut(path(`${size}.yaml`), size);
    const words = ['--format', 'ofa-lut', '--device', `phone${size}`, '--space', path('space.json')];
    const out = path(`${size}.json`);
    expect(await ofa(['latency', 'import', path(`${size}.yaml`), ...words, '--out', out])).toMatchObject({
      code: 0,
    });
  }
  await makeTable(path('whole.json'), space, 'pc');
  const holes = await readTable(path('whole.json'));
  const entries = Object.entries(holes.entries).filter(([key]) => !key.includes('k5'));
  writeFileSync(path('holes.json'), JSON.stringify({ ...holes, entries: Object.fromEntries(entries) }));
  const fit = ['accuracy', 'fit', '--supernet', path('run'), '--predictor', 'ridge', '--held-out', '10'];
  expect(await ofa(fit)).toMatchObject({ code: 0 });
});

interface Document {
  readonly best: {
    readonly predictedMs: number;
    readonly architecture: { image_size: number; ks: number[] };
  };
  readonly front?: readonly { readonly architecture: { readonly image_size: number } }[];
  readonly leftOut: readonly string[];
}

const search = (...words: string[]) => ofa(['search', '--supernet', path('run'), ...words]);

async function document(...words: string[]): Promise<Document> {
  const { code, stdout, stderr } = await search(...words, '--json');
  expect({ code, stderr: stderr.trimEnd().split('\n') }).toEqual({
    code: 0,
    stderr: [expect.stringContaining('leaves out')],
  });
  return JSON.parse(stdout) as Document;
}

describe('ofa search by a table that lacks', () => {
  it.each([
    ['a limit', ['--max-latency-ms', '1']],
    ['no limit', []],
    ['evolution', ['--max-latency-ms', '1', '--strategy', 'evolution', '--budget', '50']],
  ])('an image size, with %s', async (_, words) => {
    for (const [own, other] of [
      [16, 24],
      [24, 16],
    ]) {
      const { best, leftOut } = await document('--table', path(`${own}.json`), ...words);
      expect(best.architecture.image_size).toBe(own);
      expect(best.predictedMs).toBeGreaterThan(0);
      expect(leftOut).toEqual([`The latency table of device "phone${own}" leaves out: image_size ${other}`]);
    }
  });

  it('an image size, the whole front', async () => {
    const { front = [] } = await document('--table', path('16.json'), '--pareto', '--out', path('front'));
    expect(front.length).toBeGreaterThan(1);
    expect(new Set(front.map(({ architecture }) => architecture.image_size))).toEqual(new Set([16]));
  });

  it('blocks', async () => {
    const { best, leftOut } = await document('--table', path('holes.json'), '--max-latency-ms', '1');
    expect(best.architecture.ks).not.toContain(5);
    expect(leftOut).toEqual(['The latency table of device "pc" leaves out: ks 5']);
  });

  it('a block that all networks of a size have', async () => {
    const text = readFileSync(path('24.yaml'), 'utf8');
    writeFileSync(path('headless.yaml'), text.replace(/Logits-.*\n(?: {2}.*\n)+/, ''));
    const files = [path('16.yaml'), path('headless.yaml')];
    const words = ['--format', 'ofa-lut', '--device', 'phone', '--space', path('space.json')];
    const made = await ofa(['latency', 'import', ...files, ...words, '--out', path('both.json'), '--json']);
    expect({ code: made.code, missing: (JSON.parse(made.stdout) as { missing: number }).missing }).toEqual({
      code: 0,
      missing: 1,
    });
    const { best, leftOut } = await document('--table', path('both.json'), '--max-latency-ms', '1');
    expect(best.architecture.image_size).toBe(16);
    expect(leftOut).toEqual(['The latency table of device "phone" leaves out: image_size 24']);
  });

  it('all that another table has', async () => {
    const words = ['--table', path('16.json'), path('24.json'), '--max-latency-ms', '1'];
    const { code, stdout, stderr } = await search(...words);
    const last = stderr.trimEnd().split('\n').at(-1)!;
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(last).toMatch(/phone24.*it must answer for some of image_size 16: it has 24/);
    expect(isOneLine(`${last}\n`)).toBe(true);
    // Where nothing is asked of either, both stay what is told of networks that they know.
    const free = await search(...words.slice(0, 3), '--json');
    expect(free.code).toBe(0);
    const { best } = JSON.parse(free.stdout) as { best: { values: Record<string, number> } };
    expect(Object.keys(best.values).filter((name) => name.startsWith('latencyMs'))).toHaveLength(1);
  });
});
