/** The secret that an agent and its clients share: one line in a file. */
import { randomBytes } from 'node:crypto';
import { chmod, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../../util/errors.js';
import { readBytes, writeAtomic } from '../../util/files.js';
import type { Logger } from '../../util/logger.js';

const RANDOM_BYTES = 32;

/** `~/` at the beginning of a path is the home folder. */
export const fromHome = (path: string): string =>
  path.startsWith('~/') ? join(homedir(), path.slice(2)) : path;

/** Throws UserError for a file that is not there or holds no token: 16 to 512 printable characters. */
export async function readToken(path: string): Promise<string> {
  const token = (await readBytes(fromHome(path))).toString('utf8').trim();
  if (/^[\x21-\x7e]{16,512}$/.test(token)) return token;
  throw new UserError(`Cannot use the token in ${path}: 16 to 512 characters without spaces are wanted`);
}

/** The token of a file; makes one where there is no file. Warns where others may read it. Throws UserError. */
export async function readOrMakeToken(path: string, logger: Logger): Promise<string> {
  const file = fromHome(path);
  const there = await stat(file).catch(() => undefined);
  if (there === undefined) {
    await writeAtomic(file, `${randomBytes(RANDOM_BYTES).toString('base64url')}\n`);
    await chmod(file, 0o600);
    logger.info(`Made a token in ${path}: copy this file to where you measure from`);
  } else if (process.platform !== 'win32' && (there.mode & 0o077) !== 0) {
    logger.warn(`Others on this machine may read ${path}: chmod 600 ${path}`);
  }
  return readToken(path);
}
