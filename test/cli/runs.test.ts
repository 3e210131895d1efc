/** `ofa runs`: what is listed, what differs, and that nothing is removed that is not a run's. */
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunComparison, RemovedRun } from '../../src/pipeline/runs.js';
import type { RunSummary } from '../../src/pipeline/runSummary.js';
import { withFolderLock } from '../../src/util/lock.js';
import { isOneLine, ofa } from './support/cli.js';
import { fewDigits, makeRun, SPACE_WORDS, writeSchedule } from './support/fixture.js';
import { temporaryFolder } from './support/folder.js';

const path = temporaryFolder();
const trained = path('all', 'deep', 'trained');
const made = path('all', 'made');

beforeAll(async () => {
  const data = fewDigits(path('digits'));
  const schedule = writeSchedule(path('schedule.json'), 1, 8);
  await makeRun(made, data, 7);
  const words = ['train', ...SPACE_WORDS, '--data', data, '--schedule', schedule, '--out', trained];
  expect((await ofa([...words, '--seed', '3'])).code).toBe(0);
  mkdirSync(path('all', '.hidden'));
  cpSync(made, path('all', '.hidden', 'run'), { recursive: true });
  symlinkSync(made, path('linked'));
});

async function json<T>(...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await ofa([...args, '--json']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as T;
}

describe('ofa runs list', () => {
  it('finds runs below folders, each once, with what they are', async () => {
    const list = await json<RunSummary[]>('runs', 'list', path('all'), path('linked'));
    expect(list.map(({ run }) => run)).toEqual([trained, made]);
    const [first, second] = list;
    expect(first).toMatchObject({
      state: 'trained',
      space: 'mbv3-tiny',
      width: 0.5,
      classes: 10,
      imageSizes: [16],
      data: `mnist:${path('digits')}`,
      schedule: 'short',
      seed: 3,
      batchSize: 8,
      samples: 0,
      accuracyPredictor: false,
      inUseBy: null,
    });
    expect(first!.step).toBe(first!.totalSteps);
    expect(first!.largestTop1).toBeGreaterThanOrEqual(0);
    expect(first!.sizeBytes).toBeGreaterThan(10_000);
    expect(second).toMatchObject({ state: 'made', samples: 7, largestTop1: null, step: null });
  });

  it('shows a table, of the current folder unless told otherwise, and who writes there', async () => {
    const shown = await withFolderLock(made, { action: 'test', instead: 'wait' }, () =>
      ofa(['runs', 'list'], { cwd: path('all') }),
    );
    expect(shown).toMatchObject({ code: 0, stderr: '' });
    const lines = shown.stdout.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^run +space +data +state +steps +largest/);
    expect(lines[1]).toMatch(/^deep\/trained +mbv3-tiny +mnist +trained +\d+\/\d+ +[\d.]+ %/);
    expect(lines[3]).toContain(`In use: made: "`);
    expect(lines[3]).toContain(`(process ${process.pid} on `);
    expect(await ofa(['runs', 'list', path('digits')])).toMatchObject({
      code: 0,
      stdout: 'There are no runs\n',
    });
  });

  it('lists a damaged run as one, and refuses what is no folder', async () => {
    const damaged = path('some', 'damaged');
    cpSync(made, damaged, { recursive: true });
    cpSync(made, path('some', 'other'), { recursive: true });
    for (const name of readdirSync(damaged)) if (name.endsWith('.safetensors')) rmSync(`${damaged}/${name}`);
    writeFileSync(path('some', 'other', 'supernet.json'), '{');
    const [first, second] = await json<RunSummary[]>('runs', 'list', path('some'));
    expect(first).toMatchObject({ state: 'damaged', space: null });
    expect(first!.problem).toMatch(/supernet-\w+\.safetensors, which it names, is not there/);
    expect(second!.problem).toMatch(/it is not JSON/);
    const none = await ofa(['runs', 'list', path('nowhere')]);
    expect(none).toMatchObject({ code: 1, stdout: '' });
    expect(none.stderr).toBe(`Cannot list the runs in ${path('nowhere')}: there is no such folder\n`);
  });
});

describe('ofa runs compare', () => {
  it('says what differs and nothing else', async () => {
    const { a, b, differences } = await json<RunComparison>('runs', 'compare', trained, made);
    expect([a.run, b.run]).toEqual([trained, made]);
    const keys = differences.map(({ key }) => key);
    expect(keys).toEqual(expect.arrayContaining(['state', 'seed', 'step', 'samples', 'weightsSha256']));
    expect(keys).not.toContain('space');
    expect(differences.find(({ key }) => key === 'samples')).toEqual({ key: 'samples', a: 0, b: 7 });
    const table = await ofa(['runs', 'compare', trained, made]);
    expect(table.stdout).toMatch(/^samples +0 +7$/m);
    expect((await ofa(['runs', 'compare', made, made])).stdout).toBe('They do not differ\n');
    const none = await ofa(['runs', 'compare', made, path('digits')]);
    expect(none).toMatchObject({ code: 1, stdout: '' });
    expect(none.stderr).toMatch(/^Cannot describe .*: it must be a run/);
  });
});

describe('ofa runs remove', () => {
  it('removes what is of a run, keeps what is not, and the folder goes when it is empty', async () => {
    const run = path('gone');
    cpSync(trained, run, { recursive: true });
    mkdirSync(`${run}/front`);
    writeFileSync(`${run}/front/front.csv`, '');
    const removed = await json<RemovedRun>('runs', 'remove', run, '--yes');
    expect(removed).toMatchObject({ run, kept: [] });
    expect(removed.freedBytes).toBeGreaterThan(10_000);
    expect(existsSync(run)).toBe(false);

    const shared = path('shared');
    cpSync(made, shared, { recursive: true });
    mkdirSync(`${shared}/photos`);
    for (const name of ['photos/a.png', 'notes.txt', 'mine.safetensors'])
      writeFileSync(`${shared}/${name}`, '');
    const { kept } = await json<RemovedRun>('runs', 'remove', shared, '--yes');
    expect(kept).toEqual(['mine.safetensors', 'notes.txt', 'photos']);
    expect(readdirSync(`${shared}/photos`)).toEqual(['a.png']);
    expect((await ofa(['runs', 'remove', shared, '--yes'])).code).toBe(1);
  });

  it('refuses without a yes, what is no run, and a run that is in use', async () => {
    const before = readdirSync(made);
    const asked = await ofa(['runs', 'remove', made]);
    expect(asked).toMatchObject({ code: 2, stdout: '' });
    expect(asked.stderr).toBe(
      `Cannot remove ${made}: that must be confirmed: it was not; give --yes; see --help\n`,
    );
    const folder = await ofa(['runs', 'remove', path('digits'), '--yes']);
    expect(folder).toMatchObject({ code: 1, stdout: '' });
    expect(folder.stderr).toMatch(/^Cannot remove .*: it must be a run: there is no supernet.json in it/);
    const used = await withFolderLock(made, { action: 'test', instead: 'wait' }, () =>
      ofa(['runs', 'remove', made, '--yes']),
    );
    expect(used).toMatchObject({ code: 1, stdout: '' });
    expect(used.stderr).toContain(`Cannot remove ${made}: one process at a time may write there`);
    for (const { stderr } of [asked, folder, used]) expect(isOneLine(stderr)).toBe(true);
    expect(readdirSync(made)).toEqual(before);
  });
});
