import { z } from 'zod';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { measuredTableSchema } from '../../src/latency/table.js';
import { ofa, type Result } from './support/cli.js';
import { fewDigits, makeRun, SPACE_WORDS, writeSchedule } from './support/fixture.js';
import { temporaryFolder } from './support/folder.js';
import { canMount, smallDisk } from './support/smallDisk.js';

const path = temporaryFolder();

const mounts = canMount(path('probe'), path('probed'));

/** One line says why; nothing else went wrong. */
function expectRefusal({ code, stdout, stderr }: Result, reason: RegExp): void {
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr.trimEnd().split('\n').pop()).toMatch(reason);
  expect(stderr).not.toMatch(/\bat .*:\d+:\d+|defect/);
}

let data: string;
beforeAll(async () => {
  data = fewDigits(path('digits'));
  await makeRun(path('run'), data);
});

describe('a disk that takes no more', () => {
  // The first checkpoint fits, a second one beside it does not.
  it.skipIf(!mounts)('stops a training, which goes on when there is room again', async () => {
    const schedule = writeSchedule(path('schedule.json'), 0.2, 8);
    const words = ['train', ...SPACE_WORDS, '--data', data, '--schedule', schedule, '--out'];
    const prefix = smallDisk(path('disk'), path('kept'), 320);
    const refused = await ofa([...words, path('disk', 'run')], { prefix });
    expectRefusal(
      refused,
      /^Cannot write .*: the disk is full; free some space and run the same command again$/,
    );
    const names = readdirSync(path('kept', 'run'));
    expect(names).toContain('supernet.json');
    expect(names.filter((name) => name.endsWith('.tmp'))).toEqual([]);
    expect(await ofa([...words, path('kept', 'run')])).toMatchObject({ code: 0 });
  });

  it.skipIf(process.platform !== 'linux')('keeps the file that was there', async () => {
    const onnx = path('kept.onnx');
    const subnet = ['export', '--supernet', path('run'), '--arch', 'smallest', '--calibration-images', '8'];
    const words = [...subnet, '--out', onnx];
    expect(await ofa(words)).toMatchObject({ code: 0 });
    const { size, mtimeMs } = statSync(onnx);
    expect(size).toBeGreaterThan(16 * 1024);
    const names = readdirSync(path()).sort();
    // Files of at most 16 blocks, of 512 or 1024 bytes as the shell has it.
    const limited = await ofa(words, { prefix: ['sh', '-c', 'ulimit -f 16; exec "$@"', 'sh'] });
    expectRefusal(limited, /^Cannot write .*kept\.onnx: /);
    expect(statSync(onnx)).toMatchObject({ size, mtimeMs });
    expect(readdirSync(path()).sort()).toEqual(names);
  });

  // The table of the first blocks fits, with a second one beside it; all blocks do not.
  it.skipIf(!mounts)(
    'stops a measurement: the table is whole, and goes on when there is room again',
    async () => {
      const words = [
        '--json',
        'measure',
        '--space',
        'mbv3-tiny',
        '--image-sizes',
        '16',
        '--device',
        'local-cpu',
      ];
      const table = (...folders: string[]): string[] => [
        '--protocol',
        'quick',
        '--table',
        path(...folders, 'table.json'),
      ];
      const refused = await ofa([...words, ...table('small')], {
        prefix: smallDisk(path('small'), path('saved'), 20),
      });
      expectRefusal(
        refused,
        /^Cannot write .*table\.json: the disk is full; free some space and run the same command again$/,
      );
      expect(readdirSync(path('saved'))).toEqual(['table.json']);
      const kept = measuredTableSchema.parse(JSON.parse(readFileSync(path('saved', 'table.json'), 'utf8')));
      const blocks = Object.keys(kept.entries).length;
      expect(blocks).toBeGreaterThan(0);
      const { code, stdout } = await ofa([...words, ...table('saved')]);
      expect(code).toBe(0);
      const whole = measuredTableSchema.parse(JSON.parse(readFileSync(path('saved', 'table.json'), 'utf8')));
      // What was measured at another speed of the machine may be measured again, but nothing is lost.
      expect(Object.keys(whole.entries)).toEqual(expect.arrayContaining(Object.keys(kept.entries)));
      const { measured, failures } = z
        .object({ measured: z.number(), failures: z.looseObject({}) })
        .parse(JSON.parse(stdout));
      expect(measured).toBeGreaterThanOrEqual(Object.keys(whole.entries).length - blocks);
      expect(failures).toEqual({});
    },
  );
});
