/** Text as editors save it: with a UTF-8 byte order mark, or in UTF-16. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { readLutFiles } from '../../src/latency/import/lutFiles.js';
import { readArchitecture } from '../../src/space/file.js';
import { loadSpace } from '../../src/space/presets.js';
import { loadSchedule } from '../../src/training/schedule.js';
import { UserError } from '../../src/util/errors.js';
import { parseJson, readJson, readJsonLines, readText } from '../../src/util/files.js';
import { smallSpace } from '../support/spaces.js';

const MARK = Buffer.from([0xef, 0xbb, 0xbf]);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'text-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function marked(name: string, content: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, Buffer.concat([MARK, Buffer.from(content)]));
  return path;
}

it('is read without the mark, whatever it says', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary' }), fc.jsonValue(), async (text, value) => {
      const whole = Buffer.from(text).toString();
      expect(await readText(await marked('a.txt', whole))).toBe(whole);
      const json = JSON.stringify(value);
      expect(await readJson(await marked('a.json', json), z.unknown())).toEqual(JSON.parse(json));
      expect(parseJson(`\uFEFF${json}`, z.unknown(), 'inline')).toEqual(JSON.parse(json));
    }),
    { numRuns: 50 },
  );
});

it('JSON lines', async () => {
  const path = await marked('a.jsonl', '{"a":1}\r\n{"a":2}\r\n');
  expect(await readJsonLines(path, z.object({ a: z.number() }))).toEqual([{ a: 1 }, { a: 2 }]);
});

it('an architecture, a space and a schedule', async () => {
  const space = smallSpace();
  const small = await marked('space.json', JSON.stringify(space.file));
  expect((await loadSpace(small)).file).toEqual(space.file);
  const arch = '{"image_size":16,"ks":3,"e":2,"d":1}';
  expect(await readArchitecture(await marked('arch.json', arch), space)).toEqual(
    await readArchitecture(`\uFEFF${arch}`, space),
  );
  const schedule = {
    format: 'ofakit.schedule/1',
    name: 's',
    description: '',
    batchSize: 8,
    momentum: 0.9,
    weightDecay: 0,
    labelSmoothing: 0,
    phases: [{ name: 'a', epochs: 1, learningRate: 0.1, subnets: ['largest'] }],
  };
  expect(await loadSchedule(await marked('schedule.json', JSON.stringify(schedule)))).toMatchObject({
    phases: [{ epochs: 1 }],
  });
});

it('lookup tables', async () => {
  const key = 'Conv-input:32x32x3-output:16x16x8';
  const csv = await marked('lut.csv', `resolution,key,count,mean_ms,std_ms\n32,${key},10,0.5,0.1\n`);
  const yaml = await marked('lut.yaml', `${key}:\n  count: 10\n  mean: 0.5\n  std: 0.1\n`);
  const wanted = new Map([[32, new Map([[key, { count: 10, meanMs: 0.5, stdMs: 0.1 }]])]]);
  expect(await readLutFiles([csv])).toEqual(wanted);
  expect(await readLutFiles([yaml])).toEqual(wanted);
});

it('in UTF-16 is refused by name', async () => {
  const path = join(folder, 'wide.json');
  await writeFile(path, Buffer.from('\uFEFF{"a":1}', 'utf16le'));
  await expect(readJson(path, z.unknown())).rejects.toThrow(UserError);
  await expect(readJson(path, z.unknown())).rejects.toThrow(`${path}: it must be UTF-8: it is UTF-16`);
});

it('quotes of a file are cut in messages', () => {
  const keys = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`key${i}`, i]));
  const read = () => parseJson(JSON.stringify(keys), z.strictObject({}), 'the file');
  expect(read).toThrow(/^Cannot use the file: .{500,700}\.\.\.$/);
});
