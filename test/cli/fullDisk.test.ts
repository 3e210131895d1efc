import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { ofa, type Result } from './support/cli.js';
import { fewDigits, makeRun, SPACE_WORDS, writeSchedule } from './support/fixture.js';
import { temporaryFolder } from './support/folder.js';

const path = temporaryFolder();

/**
 * Words before a command that give it a file system of 320 KiB at `disk` and copy what is there afterwards to `kept`: the
 * mount is the process's own and ends with it.
 */
function smallDisk(disk: string, kept: string): string[] {
  mkdirSync(disk);
  mkdirSync(kept);
  const script =
    'disk=$1 kept=$2; shift 2; mount -t tmpfs -o size=320k tmpfs "$disk" || exit 99; ' +
    '"$@"; code=$?; cp -R "$disk/." "$kept"; exit $code';
  return ['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c', script, 'sh', disk, kept];
}

function canMount(): boolean {
  const [command, ...rest] = smallDisk(path('probe'), path('probed'));
  return spawnSync(command!, [...rest, 'true']).status === 0;
}
const mounts = canMount();

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
    const prefix = smallDisk(path('disk'), path('kept'));
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
});
