/**
 * Locks: one process at a time writes into a folder, or a file that grows. A lock is a file that names its holder and is
 * there as a whole or not at all. It ends with the process: one whose holder is dead is taken over at once, one of another
 * machine when its sign of life stops. Own code: docs/decisions/0025-own-locks.md.
 */
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { link, lstat, mkdir, open, readFile, realpath, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { UserError } from './errors.js';
import { fileProblem } from './files.js';
import { bootTimeMs, liveness, ownIdentity } from './processIdentity.js';
import { sweepTemporaries, temporaryName } from './temporaries.js';

/** Of a folder, in it. */
export const FOLDER_LOCK = 'ofakit.lock';
/** Of a file: its name, and this. */
const FILE_SUFFIX = '.lock';

const text = z.string().max(4096);
export const lockSchema = z.strictObject({
  format: z.literal('ofakit.lock/1'),
  /** Of this lock and no other. */
  token: z.string().regex(/^[0-9a-f]{16}$/, 'must be 16 hexadecimal digits'),
  host: text,
  boot: text.nullable(),
  pidNamespace: text.nullable(),
  pid: z.number().int().positive(),
  processStart: text.nullable(),
  command: text,
  since: z.iso.datetime(),
});
export type LockHolder = z.infer<typeof lockSchema>;

/** Words for who is refused. */
export interface LockPurpose {
  /** As in `Cannot train in FOLDER`. */
  readonly action: string;
  /** What else could be done, as in `give another --out`. */
  readonly instead: string;
}

/** A holder writes its lock again so often. */
const BEAT_MS = 10_000;
/** A lock of another machine counts as left behind after so long without. */
export const SILENCE_MS = 5 * 60_000;
/** Bytes of a lock file that are read at most. */
const LONGEST = 32_768;
/** How often others may come in between before that is an error. */
const ATTEMPTS = 100;

interface FoundLock {
  /** Undefined where the file cannot be read as a lock. */
  readonly holder: LockHolder | undefined;
  /** Differs between any two locks. */
  readonly token: string;
  /** Its last sign of life. */
  readonly mtimeMs: number;
}

/** Runs `work` with the lock of `folder`, which is made where it is not there. Throws UserError naming the holder. */
export async function withFolderLock<T>(
  folder: string,
  purpose: LockPurpose,
  work: () => Promise<T>,
): Promise<T> {
  const release = await lockFolder(folder, purpose);
  try {
    return await work();
  } finally {
    await release();
  }
}

/**
 * As `withFolderLock`, for as long as the caller wants; gives what releases it. Sweeps what killed processes left in the
 * folder. `mode`: of a folder that is made.
 */
export async function lockFolder(
  folder: string,
  purpose: LockPurpose,
  mode?: number,
): Promise<() => Promise<void>> {
  const made = await makeFolder(folder, mode);
  const release = await acquire(join(folder, FOLDER_LOCK), folder, purpose).catch(async (error: unknown) => {
    await removeEmpty(folder, made);
    throw error;
  });
  await sweepTemporaries(folder);
  return async () => {
    await release();
    await removeEmpty(folder, made);
  };
}

/** Runs `work` with the lock of a file, which need not be there: `FILE.lock` beside it. Throws UserError naming the holder. */
export async function withFileLock<T>(
  file: string,
  purpose: LockPurpose,
  work: () => Promise<T>,
): Promise<T> {
  const made = await makeFolder(dirname(file));
  // Two names of one file have one lock.
  const target = await realpath(file).catch(() => file);
  try {
    const release = await acquire(target + FILE_SUFFIX, file, purpose);
    try {
      await sweepTemporaries(dirname(target), `${basename(target)}.`);
      return await work();
    } finally {
      await release();
    }
  } finally {
    await removeEmpty(dirname(file), made);
  }
}

/** Who has the lock of `folder` now; undefined where nobody has. */
export async function folderHolder(folder: string): Promise<LockHolder | 'unknown' | undefined> {
  const found = await readLock(join(folder, FOLDER_LOCK));
  if (found === undefined || isLeftBehind(found, Date.now())) return undefined;
  return found.holder ?? 'unknown';
}

/** `"ofa train ..." (process 12 on HOST, since TIME UTC)`. Text from the file is made harmless for a terminal. */
export function describeHolder(holder: LockHolder | 'unknown'): string {
  if (holder === 'unknown') return 'a process whose lock cannot be read';
  const { command, pid, host, since } = holder;
  const plain = (value: string): string => value.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '?').slice(0, 200);
  const when = since.slice(0, 16).replace('T', ' ');
  return `"${plain(command)}" (process ${pid} on ${plain(host)}, since ${when} UTC)`;
}

async function makeFolder(folder: string, mode = 0o777): Promise<string | undefined> {
  try {
    return await mkdir(folder, { recursive: true, mode });
  } catch (cause) {
    throw fileProblem('write', folder, cause);
  }
}

/** Folders that were made for a lock go again where nothing came into them. `made`: the topmost. */
async function removeEmpty(folder: string, made: string | undefined): Promise<void> {
  if (made === undefined) return;
  const top = resolve(made);
  for (let at = resolve(folder); at.startsWith(top); at = dirname(at)) {
    const removed = await rmdir(at).then(
      () => true,
      () => false,
    );
    if (!removed) return;
  }
}

/** `what`: the folder or file that the lock is of. */
async function acquire(path: string, what: string, purpose: LockPurpose): Promise<() => Promise<void>> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const { lock, nowMs } = await publish(path);
    if (lock !== undefined) return () => lock.release();
    const found = await readLock(path);
    if (found === undefined) continue;
    if (!isLeftBehind(found, nowMs)) throw refusal(found, path, what, purpose, nowMs);
    if (!(await removeLeftBehind(path, found.token, what, purpose))) await sleep(20);
  }
  throw new UserError(`Cannot ${purpose.action} ${what}: other processes take its lock ${path} all the time`);
}

/**
 * Only who has the lock of the removal may remove a lock that was left behind: of two that found it, the slower would
 * otherwise remove the new lock of the faster. False where another is at it.
 */
async function removeLeftBehind(
  path: string,
  token: string,
  what: string,
  purpose: LockPurpose,
): Promise<boolean> {
  let release: () => Promise<void>;
  try {
    release = await acquire(`${path}.${token}`, what, purpose);
  } catch (error) {
    if (error instanceof UserError && error.cause === undefined) return false;
    throw error;
  }
  try {
    if ((await readLock(path))?.token === token) await rm(path, { force: true });
  } finally {
    await release();
  }
  return true;
}

interface OwnLock {
  release(): Promise<void>;
}

/** Makes the lock, unless there is one. `nowMs`: the time by the clock that stamps files there. */
async function publish(path: string): Promise<{ lock: OwnLock | undefined; nowMs: number }> {
  const holder: LockHolder = {
    format: 'ofakit.lock/1',
    token: randomBytes(8).toString('hex'),
    ...ownIdentity(),
    command: commandLine(),
    since: new Date().toISOString(),
  };
  const content = `${JSON.stringify(holder)}\n`;
  const temporary = temporaryName(path);
  try {
    await writeFile(temporary, content, { flag: 'wx' });
    const { mtimeMs: nowMs } = await stat(temporary);
    const made = await linkOrWrite(temporary, path, content);
    return { lock: made ? keepAlive(path, holder.token, content) : undefined, nowMs };
  } catch (cause) {
    throw fileProblem('write', path, cause);
  } finally {
    await rm(temporary, { force: true }).catch(() => undefined);
  }
}

/** False where there is a file of this name. */
async function linkOrWrite(temporary: string, path: string, content: string): Promise<boolean> {
  const isThere = (error: unknown): false => {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  };
  try {
    await link(temporary, path);
    return true;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EINVAL'].includes(code)) return isThere(error);
  }
  // A file system without hard links: between making and writing the file is there, but empty.
  return writeFile(path, content, { flag: 'wx' }).then(() => true, isThere);
}

function keepAlive(path: string, token: string, content: string): OwnLock {
  let beat: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    beat = writeAgain(path, token, content).catch(() => undefined);
  }, BEAT_MS);
  timer.unref();
  const onExit = (): void => {
    try {
      if (readFileSync(path, 'utf8').includes(token)) rmSync(path);
    } catch {
      // It stays, and is known for what it is by its dead process.
    }
  };
  process.on('exit', onExit);
  return {
    async release() {
      clearInterval(timer);
      await beat;
      process.off('exit', onExit);
      if ((await readLock(path))?.token === token) await rm(path, { force: true });
    },
  };
}

/** In place and with the same bytes, so that the clock of the disk stamps it and nobody reads a part. */
async function writeAgain(path: string, token: string, content: string): Promise<void> {
  if ((await readLock(path))?.token !== token) return;
  const handle = await open(path, 'r+');
  try {
    await handle.write(content, 0);
  } finally {
    await handle.close();
  }
}

/** Undefined where there is none. */
async function readLock(path: string): Promise<FoundLock | undefined> {
  try {
    const { mtimeMs, size } = await lstat(path);
    const content = size > LONGEST ? '' : await readFile(path, 'utf8');
    const holder = parseHolder(content);
    const digest = createHash('sha256').update(`${mtimeMs} ${size} ${content}`).digest('hex');
    return { holder, token: holder?.token ?? digest.slice(0, 16), mtimeMs };
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw fileProblem('read', path, cause);
  }
}

function parseHolder(content: string): LockHolder | undefined {
  try {
    return lockSchema.safeParse(JSON.parse(content)).data;
  } catch {
    return undefined;
  }
}

/** Whether the holder is gone: dead, or silent where that cannot be seen from here. */
function isLeftBehind({ holder, mtimeMs }: FoundLock, nowMs: number): boolean {
  const own = ownIdentity();
  const state = holder === undefined ? 'unknown' : liveness(holder);
  if (state !== 'unknown') return state === 'dead';
  // This machine was started again since: its processes ended with it.
  if ((holder === undefined || holder.host === own.host) && mtimeMs < bootTimeMs()) return true;
  return nowMs - mtimeMs > SILENCE_MS;
}

function refusal(
  { holder, mtimeMs }: FoundLock,
  path: string,
  what: string,
  { action, instead }: LockPurpose,
  nowMs: number,
): UserError {
  const far = holder === undefined || liveness(holder) === 'unknown';
  const silent = far
    ? `; its last sign of life was ${Math.max(0, Math.round((nowMs - mtimeMs) / 1000))} s ago, and after ${SILENCE_MS / 60_000} minutes without one it counts as ended (or delete ${path} where it is known to have)`
    : '';
  return new UserError(
    `Cannot ${action} ${what}: one process at a time may write there: ${describeHolder(holder ?? 'unknown')} does${silent}; wait until it has ended, or ${instead}`,
  );
}

/** Of this process, as it was typed, as far as a line holds it. */
function commandLine(): string {
  const [, script = 'node', ...words] = process.argv;
  const name = basename(script).replace(/\.[cm]?[jt]s$/, '');
  const shown = [name, ...words]
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word}'`))
    .join(' ');
  return shown.length <= 500 ? shown : `${shown.slice(0, 497)}...`;
}
