/** Locks among real processes: named holders, kills, numbers given again, other machines, all at once. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import {
  describeHolder,
  FOLDER_LOCK,
  folderHolder,
  lockSchema,
  SILENCE_MS,
  withFileLock,
  withFolderLock,
  type LockHolder,
} from '../../src/util/lock.js';
import { ownIdentity } from '../../src/util/processIdentity.js';
import { packagePath } from '../../src/util/scripts.js';
import { sweepTemporaries } from '../../src/util/temporaries.js';
import { temporaryFolder } from '../cli/support/folder.js';

const path = temporaryFolder();
const purpose = { action: 'train in', instead: 'give another --out' };
const done = (): Promise<string> => Promise.resolve('done');
const MODULE = JSON.stringify(packagePath('dist/util/lock.js'));

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/** A process that runs `body` with `withFolderLock` and `say` at hand; what it says. */
function other(body: string, ...words: string[]): { child: ChildProcess; said: () => Promise<string> } {
  const code = `import { withFolderLock } from ${MODULE};
    const say = (text) => new Promise((resolve) => process.stdout.write(text, resolve));
    const stay = () => new Promise(() => setInterval(() => {}, 1000));
    const purpose = ${JSON.stringify(purpose)};
    const [folder, log] = process.argv.slice(1);
    ${body}`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code, ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const said = async (): Promise<string> => String(((await once(child.stdout, 'data')) as [Buffer])[0]);
  return { child, said };
}

/** Another process that has the lock of `folder`. */
async function holder(folder: string): Promise<ChildProcess> {
  const { child, said } = other(
    `await withFolderLock(folder, purpose, () => say('mine').then(stay))`,
    folder,
  );
  expect(await said()).toBe('mine');
  return child;
}

const deadPid = spawnSync(process.execPath, ['--version']).pid;

function writeLock(folder: string, change: Partial<LockHolder> = {}, silentMs = 0): string {
  mkdirSync(folder, { recursive: true });
  const lock: LockHolder = {
    format: 'ofakit.lock/1',
    token: '0123456789abcdef',
    ...ownIdentity(),
    command: 'ofa train --out runs/a',
    since: '2025-01-02T03:04:05.000Z',
    ...change,
  };
  const file = join(folder, FOLDER_LOCK);
  writeFileSync(file, JSON.stringify(lock));
  const time = (Date.now() - silentMs) / 1000;
  utimesSync(file, time, time);
  return file;
}

describe('a lock of a folder', () => {
  it('keeps others out, naming the holder, until it is released', async () => {
    const folder = path('named');
    const child = await holder(folder);
    const refused = withFolderLock(folder, purpose, done);
    await expect(refused).rejects.toThrow(
      `Cannot train in ${folder}: one process at a time may write there: "`,
    );
    await expect(refused).rejects.toThrow(`(process ${child.pid!} on `);
    await expect(refused).rejects.toThrow(
      /since \d{4}-[\d :-]+ UTC\) does; wait until it has ended, or give another --out$/,
    );
    expect(await folderHolder(folder)).toMatchObject({ pid: child.pid });
    expect(await withFolderLock(path('not the same'), purpose, done)).toBe('done');
  });

  it('keeps out a second call of the same process, and goes when the first fails', async () => {
    const folder = path('same');
    const first = withFolderLock(folder, purpose, async () => {
      await expect(withFolderLock(folder, purpose, done)).rejects.toThrow(/one process at a time/);
      const file = lockSchema.parse(JSON.parse(readFileSync(join(folder, FOLDER_LOCK), 'utf8')));
      expect(file.pid).toBe(process.pid);
      throw new Error('of its own');
    });
    await expect(first).rejects.toThrow('of its own');
    expect(await withFolderLock(folder, purpose, done)).toBe('done');
  });

  it('makes the folder, and takes away what it made where nothing came of it', async () => {
    await withFolderLock(path('new/er/est'), purpose, done);
    expect(existsSync(path('new'))).toBe(false);
    mkdirSync(path('there'));
    await withFolderLock(path('there'), purpose, done);
    expect(readdirSync(path('there'))).toEqual([]);
    await withFolderLock(path('filled/in'), purpose, () => {
      writeFileSync(path('filled/in/file'), '');
      return done();
    });
    expect(readdirSync(path('filled/in'))).toEqual(['file']);
  });

  it('is taken over at once from a process that was killed', async () => {
    const folder = path('killed');
    const child = await holder(folder);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(existsSync(join(folder, FOLDER_LOCK))).toBe(true);
    expect(await folderHolder(folder)).toBeUndefined();
    expect(await withFolderLock(folder, purpose, done)).toBe('done');
  });

  it('is not left by a process that ends by itself in the middle', async () => {
    const folder = path('exits');
    const { child } = other('await withFolderLock(folder, purpose, () => process.exit(3))', folder);
    await once(child, 'exit');
    expect(child.exitCode).toBe(3);
    expect(readdirSync(folder)).toEqual([]);
  });

  it.skipIf(process.platform === 'win32')('is not of the process that has the number now', async () => {
    const folder = path('reused');
    const { pid } = await holder(path('somebody'));
    writeLock(folder, { pid: pid!, processStart: 'long ago' });
    expect(await withFolderLock(folder, purpose, done)).toBe('done');
  });

  it('of another machine holds while it gives signs of life, and says until when', async () => {
    const folder = path('far');
    writeLock(folder, { host: 'elsewhere', pid: deadPid }, SILENCE_MS / 2);
    const refused = withFolderLock(folder, purpose, done);
    await expect(refused).rejects.toThrow(/process \d+ on elsewhere.* last sign of life was 1\d\d s ago/);
    await expect(refused).rejects.toThrow(`delete ${join(folder, FOLDER_LOCK)}`);
    writeLock(folder, { host: 'elsewhere', pid: deadPid }, SILENCE_MS + 1000);
    expect(await withFolderLock(folder, purpose, done)).toBe('done');
  });

  it('of this machine before it was started again is left behind', async () => {
    const folder = path('reboot');
    writeLock(folder, { boot: 'another', pid: process.pid });
    await expect(withFolderLock(folder, purpose, done)).rejects.toThrow(/one process at a time/);
    utimesSync(join(folder, FOLDER_LOCK), 1e9, 1e9);
    expect(await withFolderLock(folder, purpose, done)).toBe('done');
  });

  it('is had by one of many that find one left behind at the same time', async () => {
    const folder = path('rush');
    const log = path('rush.log');
    writeFileSync(log, '');
    writeLock(folder, { pid: deadPid, processStart: '1' });
    const body = `import { appendFileSync } from 'node:fs';
      for (let got = 0, tries = 0; got < 3 && tries < 2000; tries++) {
        try {
          await withFolderLock(folder, purpose, async () => {
            appendFileSync(log, 'in\\n');
            await new Promise((resolve) => setTimeout(resolve, 1));
            appendFileSync(log, 'out\\n');
            got++;
            // Killed in the middle: the next ones find it left behind.
            if (got === 2) process.kill(process.pid, 'SIGKILL');
          });
        } catch (error) {
          if (!/one process at a time|all the time/.test(error.message)) throw error;
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      }`;
    const ends = Array.from({ length: 5 }, () => once(other(body, folder, log).child, 'exit'));
    await Promise.all(ends);
    const lines = readFileSync(log, 'utf8').trimEnd().split('\n');
    expect(lines).toHaveLength(20);
    lines.forEach((line, i) => expect(line).toBe(i % 2 === 0 ? 'in' : 'out'));
  });

  it('reads any file as a lock: held while it is young, left behind when it is not', async () => {
    const lock = fc.record({
      format: fc.constant('ofakit.lock/1'),
      pid: fc.anything(),
      command: fc.string(),
    });
    const content = fc.oneof(
      fc.string(),
      fc.json(),
      lock.map((value) => JSON.stringify(value) ?? ''),
    );
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(content, async (text) => {
        const folder = path(`any${runs++}`);
        mkdirSync(folder);
        const file = join(folder, FOLDER_LOCK);
        writeFileSync(file, text);
        await expect(withFolderLock(folder, purpose, done)).rejects.toThrow(/whose lock cannot be read/);
        utimesSync(file, 1e9, 1e9);
        expect(await withFolderLock(folder, purpose, done)).toBe('done');
        expect(readdirSync(folder)).toEqual([]);
      }),
      { numRuns: 60, seed: 1 },
    );
  });

  it('shows what a file says of its holder without control characters', () => {
    const forged = {
      ...ownIdentity(),
      host: 'a\u001B[2J\u009B',
      command: 'x\ny\u202E',
      since: '2025-01-02T03:04:05Z',
    };
    const text = describeHolder({ format: 'ofakit.lock/1', token: '', ...forged });
    expect(text).toBe(`"x?y?" (process ${process.pid} on a?[2J?, since 2025-01-02 03:04 UTC)`);
  });
});

describe('a lock of a file', () => {
  it('is one whatever the file is called by, and says what it is of', async () => {
    const { symlinkSync } = await import('node:fs');
    writeFileSync(path('table.json'), '{}');
    symlinkSync(path('table.json'), path('same.json'));
    await withFileLock(path('table.json'), purpose, async () => {
      expect(existsSync(path('table.json.lock'))).toBe(true);
      const again = withFileLock(path('same.json'), purpose, done);
      await expect(again).rejects.toThrow(`Cannot train in ${path('same.json')}: one process at a time`);
      expect(await withFileLock(path('other.json'), purpose, done)).toBe('done');
    });
    expect(existsSync(path('table.json.lock'))).toBe(false);
    expect(await withFileLock(path('no/such/folder/file'), purpose, done)).toBe('done');
    expect(existsSync(path('no'))).toBe(false);
  });
});

describe('temporary files', () => {
  it('of dead writers go, those of others and all else stay', async () => {
    const folder = path('sweep');
    const child = await holder(path('writer'));
    mkdirSync(folder);
    const { temporaryName } = await import('../../src/util/temporaries.js');
    const own = temporaryName('own.json');
    const tag = /\.([0-9a-f]{6})-/.exec(own)![1]!;
    const stay = [
      own,
      `a.json.${tag}-${child.pid!}-0-1.tmp`,
      `a.json.${child.pid!}-0-1.tmp`,
      `a.json.${tag === '000000' ? '111111' : '000000'}-${deadPid}-0-1.tmp`,
      'mine.tmp',
      `notes-${deadPid}-0-1.tmp`,
      'a.json',
    ];
    const gone = [`a.json.${tag}-${deadPid}-0-1.tmp`, `supernet.json.${deadPid}-0-7.tmp`];
    // Where every process has the same number, as in containers.
    const before = `b.json.${tag}-${process.pid}-0-0.tmp`;
    for (const name of [...stay, ...gone, before]) writeFileSync(join(folder, name), '');
    mkdirSync(join(folder, `folder.${deadPid}-0-1.tmp`));
    utimesSync(join(folder, before), 1e9, 1e9);
    await sweepTemporaries(folder, 'supernet.');
    expect(readdirSync(folder).sort()).toEqual(
      [...stay, gone[0]!, before, `folder.${deadPid}-0-1.tmp`].sort(),
    );
    await withFolderLock(folder, purpose, done);
    expect(readdirSync(folder).sort()).toEqual([...stay, `folder.${deadPid}-0-1.tmp`].sort());
    const foreign = join(folder, stay[3]!);
    utimesSync(foreign, 1e9, 1e9);
    await sweepTemporaries(folder);
    expect(existsSync(foreign)).toBe(false);
  });
});
