/** Files that are whole or not there at all. */
import { appendFile, link, mkdir, open, readFile, realpath, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { z } from 'zod';
import { UserError } from './errors.js';
import { temporaryName } from './temporaries.js';

/** Says in one line what the file system refused, and what to do about it. */
export function fileProblem(action: string, path: string, cause: unknown): UserError {
  const code = (cause as NodeJS.ErrnoException).code ?? '';
  const reasons: Record<string, string> = {
    ENOENT: 'there is no such file',
    EACCES: 'permission denied',
    EISDIR: 'it is a folder',
    ENOTDIR: 'a part of the path is not a folder',
    ENOSPC: 'the disk is full; free some space and run the same command again',
    EROFS: 'the file system is read-only',
    EDQUOT: 'the disk quota is used up',
  };
  return new UserError(`Cannot ${action} ${path}: ${reasons[code] ?? (cause as Error).message}`, { cause });
}

/**
 * Writes through a temporary file (`temporaryName`), fsync and rename; makes the folder. Throws UserError.
 * Own code, as write-file-atomic 7.0.1 issues a single write and ignores how much of it arrived: on a full disk it renames
 * a truncated file over a whole one and reports success.
 */
export async function writeAtomic(path: string, content: string | Uint8Array): Promise<void> {
  let temporary: string | undefined;
  try {
    await mkdir(dirname(path), { recursive: true });
    const target = await realpath(path).catch(() => path);
    temporary = temporaryName(target);
    const handle = await open(temporary, 'w');
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, target);
  } catch (cause) {
    if (temporary !== undefined) await rm(temporary, { force: true }).catch(() => undefined);
    throw fileProblem('write', path, cause);
  }
}

/** File systems without hard links say one of these. */
const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'];

async function writeNew(path: string, content: string): Promise<void> {
  const handle = await open(path, 'wx', 0o600);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } catch (cause) {
    await rm(path, { force: true });
    throw cause;
  } finally {
    await handle.close();
  }
}

/**
 * Makes a file that its owner alone may read (0600, folders that are missing 0700), from its first moment on; it is whole
 * or not there. False where there is one of this name. Throws UserError.
 */
export async function createPrivate(path: string, content: string): Promise<boolean> {
  const temporary = temporaryName(path);
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    // Of a process that had this number and was killed.
    await rm(temporary, { force: true });
    await writeNew(temporary, content);
    try {
      // Not renamed: that would replace what another process has made meanwhile.
      await link(temporary, path);
    } catch (cause) {
      if (!NO_LINKS.includes((cause as NodeJS.ErrnoException).code ?? '')) throw cause;
      await writeNew(path, content);
    } finally {
      await rm(temporary, { force: true });
    }
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw fileProblem('write', path, cause);
  }
}

export async function writeJson(path: string, value: unknown): Promise<void> {
  await writeAtomic(path, `${JSON.stringify(value, null, 2)}\n`);
}

/** Appends one line of JSON (metrics, journals). */
export async function appendJsonLine(path: string, value: unknown): Promise<void> {
  await appendText(path, `${JSON.stringify(value)}\n`);
}

/** Appends whole lines. Throws UserError. */
export async function appendText(path: string, text: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    await appendFile(path, text);
  } catch (cause) {
    throw fileProblem('write', path, cause);
  }
}

/** A kill may leave a line without an end, which readers ignore; the next line must not be written behind it. */
export async function dropTornLine(path: string): Promise<void> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw fileProblem('read', path, cause);
  }
  const end = bytes.lastIndexOf(0x0a) + 1;
  if (end < bytes.length) await writeAtomic(path, bytes.subarray(0, end));
}

export async function readBytes(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw fileProblem('read', path, cause);
  }
}

/** Without a UTF-8 byte order mark, which editors and spreadsheets put before text. */
export const withoutMark = (text: string): string => (text.startsWith('\uFEFF') ? text.slice(1) : text);

/** Bytes of a text file as text, without a byte order mark. Throws UserError for UTF-16, which some editors save. */
export function decodeText(bytes: Uint8Array, where: string): string {
  const [first, second] = bytes;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff))
    throw new UserError(`Cannot read ${where}: it must be UTF-8: it is UTF-16; save it as UTF-8`);
  return withoutMark(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
}

/** A whole text file, without a byte order mark. Throws UserError. */
export async function readText(path: string): Promise<string> {
  return decodeText(await readBytes(path), path);
}

/** Text to a validated value; `where` names the file in messages. Throws UserError naming the key and the wanted form. */
export function parseJson<T>(text: string, schema: z.ZodType<T>, where: string): T {
  let value: unknown;
  try {
    value = JSON.parse(withoutMark(text));
  } catch (cause) {
    throw new UserError(`Cannot read ${where}: it is not JSON (${(cause as Error).message})`, { cause });
  }
  return validate(value, schema, where);
}

export function validate<T>(value: unknown, schema: z.ZodType<T>, where: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const key = issue.path.length === 0 ? '' : ` at "${clipped(issue.path.join('.'))}"`;
  throw new UserError(`Cannot use ${where}${key}: ${clipped(issue.message)}`);
}

/** Messages may quote what a file holds, which has any length. */
const clipped = (text: string): string => (text.length > 600 ? `${text.slice(0, 600)}...` : text);

export async function readJson<T>(path: string, schema: z.ZodType<T>): Promise<T> {
  return parseJson(await readText(path), schema, path);
}

/**
 * Lines of JSON. A last line without an end was cut off by a kill and is dropped: its writer appends it again.
 * Returns [] where there is no file. Throws UserError for a bad line, naming it.
 */
export async function readJsonLines<T>(path: string, schema: z.ZodType<T>): Promise<T[]> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw fileProblem('read', path, cause);
  }
  const text = decodeText(bytes, path);
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  return whole
    .split('\n')
    .slice(0, -1)
    .map((line, i) => parseJson(line, schema, `${path}, line ${i + 1}`));
}
