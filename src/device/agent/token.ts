/** The secret that an agent and its clients share: one token in a file, of a form that nothing else has. */
import { randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../../util/errors.js';
import { createPrivate, fileProblem, readBytes } from '../../util/files.js';
import { silentLogger, type Logger } from '../../util/logger.js';

const RANDOM_BYTES = 32;
/** What a token begins with, so that no other secret is taken for one. */
const PREFIX = 'ofakit_';
const FORM = /^ofakit_[A-Za-z0-9_-]{43}$/;
/** As tokens were before they had the prefix. */
const EARLIER_FORM = /^[A-Za-z0-9_-]{43}$/;
/** Of a file with one token, a byte order mark and an end of line. */
const MAX_BYTES = 64;

const RENEW =
  "delete the agent's token file and start the agent again, which makes a new one, and copy that to where you measure from";

/** `~/` at the beginning of a path is the home folder. */
export const fromHome = (path: string): string =>
  path.startsWith('~/') ? join(homedir(), path.slice(2)) : path;

/** A new token: `ofakit_` and 32 random bytes in base64url. */
export const newToken = (): string => `${PREFIX}${randomBytes(RANDOM_BYTES).toString('base64url')}`;

function warnOfReaders(path: string, mode: number, logger: Pick<Logger, 'warn'>): void {
  if (process.platform !== 'win32' && (mode & 0o077) !== 0)
    logger.warn(`Others on this machine may read ${path}: chmod 600 ${path}`);
}

/** Says nothing of the content: it may be another secret. */
function unusable(path: string, is: string, remedy: string): UserError {
  return new UserError(
    `Cannot use the token in ${path}: the file must hold one token ("ofakit_" and 43 letters, digits, "-" or "_") and nothing else: ${is}; nothing of it was sent; ${remedy}`,
  );
}

/**
 * The token of a file. Warns where others may read it. Throws UserError for a file that is not there, or holds anything
 * but one token.
 */
export async function readToken(path: string, logger: Pick<Logger, 'warn'> = silentLogger): Promise<string> {
  const file = fromHome(path);
  const { mode, size, isFile } = await stat(file).then(
    (there) => ({ mode: there.mode, size: there.size, isFile: there.isFile() }),
    (cause: unknown) => {
      throw fileProblem('read the token', path, cause);
    },
  );
  const other = (is: string): UserError =>
    unusable(path, is, 'name the file that the agent made (--token-file)');
  if (!isFile) throw other('it is no file');
  if (size > MAX_BYTES) throw other(`it has ${size} bytes of something else`);
  const token = (await readBytes(file)).toString('utf8').trim();
  if (token === '') throw unusable(path, 'it is empty', RENEW);
  if (EARLIER_FORM.test(token) && !FORM.test(token))
    throw unusable(path, 'it is what earlier versions made', RENEW);
  if (!FORM.test(token)) throw other('it is something else');
  warnOfReaders(path, mode, logger);
  return token;
}

/**
 * The token of a file; makes one where there is no file, readable by its owner alone from the first moment. Throws as
 * `readToken`.
 */
export async function readOrMakeToken(path: string, logger: Logger): Promise<string> {
  const file = fromHome(path);
  const there = await stat(file).catch(() => undefined);
  if (there === undefined && (await createPrivate(file, `${newToken()}\n`)))
    logger.info(`Made a token in ${path}: copy this file to where you measure from`);
  return readToken(path, logger);
}
