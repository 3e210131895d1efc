/** Two processes on one run, table, journal, or folder: the second is told who has it and changes nothing. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { FOLDER_LOCK, withFileLock, withFolderLock } from '../../src/util/lock.js';
import { isOneLine, ofa, type Result } from './support/cli.js';
import { fewDigits, makeRun, makeTable, SPACE_WORDS, writeSchedule } from './support/fixture.js';
import { temporaryFolder } from './support/folder.js';

const path = temporaryFolder();
let data: string;
let train: string[];
beforeAll(async () => {
  data = fewDigits(path('digits'));
  const schedule = writeSchedule(path('schedule.json'), 4, 8);
  train = ['train', ...SPACE_WORDS, '--data', data, '--schedule', schedule, '--validate-every', '9'];
  await makeRun(path('run'), data);
  await makeTable(path('table.json'));
});

const purpose = { action: 'test', instead: 'wait' };

function expectRefused(result: Result, action: string, what: string, instead: string): void {
  expect(result).toMatchObject({ code: 1, stdout: '' });
  expect(result.stderr).toContain(`Cannot ${action} ${what}: one process at a time may write there: "`);
  expect(result.stderr).toContain(`(process ${process.pid} on `);
  expect(result.stderr).toMatch(new RegExp(`wait until it has ended, or ${instead}\\n$`));
  // Before it may stand what a run of before is lacking.
  expect(isOneLine(`${result.stderr.trimEnd().split('\n').at(-1)!}\n`)).toBe(true);
}

describe('while another process writes there', () => {
  const folder = path('taken');
  const run = path('run');
  const inFolder = (): [string[], string, string][] => [
    [[...train, '--out', folder], 'train in', 'give another --out'],
    [
      ['finetune', '--supernet', run, '--arch', 'smallest', '--out', folder],
      'train in',
      'give another --out',
    ],
    [
      ['import', '--space', 'mbv3-tiny', '--weights', path('table.json'), '--out', folder],
      'import into',
      'give another --out',
    ],
    [['quickstart', '--out', folder], 'work in', 'give another --out'],
    [
      ['agent', '--port', '0', '--token-file', path('token'), '--folder', folder],
      'serve from',
      'give another --folder',
    ],
    [
      ['search', '--supernet', run, '--pareto', '--objective', 'macs', 'params', '--out', folder],
      'write a front into',
      'give another --out',
    ],
  ];

  it.each([0, 1, 2, 3, 4, 5])('a command that writes into a folder is refused (%i)', async (i) => {
    const [words, action, instead] = inFolder()[i]!;
    await withFolderLock(folder, purpose, async () => {
      const before = readdirSync(folder);
      expectRefused(await ofa(words), action, folder, instead);
      expect(readdirSync(folder)).toEqual(before);
    });
  });

  it('sampling and proxies are refused in a run that is trained', async () => {
    await withFolderLock(run, purpose, async () => {
      const sample = await ofa(['accuracy', 'sample', '--supernet', run, '--count', '30', '--threads', '1']);
      expectRefused(sample, 'sample accuracies into', run, 'stop it');
      const proxies = await ofa(['accuracy', 'proxies', '--supernet', run, '--proxies', 'snip']);
      expectRefused(proxies, 'add proxies in', run, 'give a copy of the file with --from');
    });
  });

  it('measuring, importing figures and searches are refused in a file that is written', async () => {
    const table = path('table.json');
    const journal = path('search.jsonl');
    const search = ['search', '--supernet', run, '--objective', 'macs', '--strategy', 'random'];
    const kept = [...search, '--budget', '5', '--journal', journal];
    const before = readFileSync(table, 'utf8');
    await withFileLock(table, purpose, () =>
      withFileLock(journal, purpose, async () => {
        const measure = ['measure', ...SPACE_WORDS, '--device', 'local-cpu', '--table', table];
        expectRefused(await ofa(measure), 'measure into', table, 'give another --table');
        expectRefused(await ofa(kept), 'keep the search in', journal, 'give another --journal');
        // What writes nothing is not kept from anything.
        expect(await ofa([...search, '--budget', '5', '--table', table])).toMatchObject({ code: 0 });
      }),
    );
    expect(readFileSync(table, 'utf8')).toBe(before);
    expect(existsSync(journal)).toBe(false);
    expect(await ofa(kept)).toMatchObject({ code: 0 });
    expect(readdirSync(path()).filter((name) => name.endsWith('.lock'))).toEqual([]);
  });
});

describe('two trainings started together', () => {
  it('are one training and one refusal, and the run is that of the first', async () => {
    const out = path('both');
    const words = [...train, '--out', out, '--json'];
    const [a, b] = await Promise.all([ofa(words), ofa(words)]);
    const [first, second] = a.code === 0 ? [a, b] : [b, a];
    expect([first.code, second.code]).toEqual([0, 1]);
    expect(second.stderr).toMatch(/^Cannot train in .*: "ofa train .*" \(process \d+ on /m);
    const { weightsSha256 } = JSON.parse(first.stdout) as { weightsSha256: string };
    const alone = await ofa([...train, '--out', path('alone'), '--json']);
    expect(JSON.parse(alone.stdout)).toMatchObject({ weightsSha256 });
  });
});

describe.skipIf(process.platform === 'win32')('a training that was killed', () => {
  it('keeps nobody out, and what it left half written goes', async () => {
    const out = path('killed');
    const words = [...train, '--out', out, '--json'];
    const killed = await ofa(words, {
      onStart: (child) =>
        void (async () => {
          while (child.exitCode === null && !existsSync(`${out}/supernet.json`)) await sleep(10);
          child.kill('SIGKILL');
        })(),
    });
    expect(killed.killedBy).toBe('SIGKILL');
    expect(existsSync(`${out}/${FOLDER_LOCK}`)).toBe(true);
    const { pid } = spawnSync(process.execPath, ['--version']);
    writeFileSync(`${out}/teacher.safetensors.${pid}-0-3.tmp`, 'half');
    writeFileSync(`${out}/supernet-0123456789abcdef.safetensors`, 'of a save that was cut off');
    const again = await ofa(words);
    expect(again.code).toBe(0);
    expect(readdirSync(out).sort()).toEqual([
      'data.json',
      'metrics.jsonl',
      expect.stringMatching(/^optimizer-/),
      expect.stringMatching(/^supernet-(?!0123456789abcdef)/),
      'supernet.json',
    ]);
  });
});
