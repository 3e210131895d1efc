/**
 * Where each token may be sent: to the agent that it was first used with. Remembered in the user's own settings, by the
 * token's hash, so that no file of a project changes it.
 */
import { createHash } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { z } from 'zod';
import { createPrivate, fileProblem, parseJson, writeJson } from '../util/files.js';

export const tokenOriginsSchema = z.strictObject({
  format: z.literal('ofakit.token-origins/1'),
  /** Addresses of one agent: `http://HOST:PORT`. */
  origins: z.array(z.string()).min(1),
});
type TokenOrigins = z.infer<typeof tokenOriginsSchema>;

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/** Whether an address of a URL is of this machine alone. */
export const isLoopback = (hostname: string): boolean => LOOPBACK.test(hostname);

/** `http://HOST:PORT` of a URL; all names of the loopback interface are one. */
export function originOf(url: URL): string {
  if (!isLoopback(url.hostname)) return url.origin;
  const local = new URL(url.origin);
  local.hostname = 'localhost';
  return local.origin;
}

/** `ofakit/tokens` in the user's settings. */
function tokensFolder(): string {
  const settings = process.env['XDG_CONFIG_HOME'] ?? '';
  return join(isAbsolute(settings) ? settings : join(homedir(), '.config'), 'ofakit', 'tokens');
}

const pathOf = (token: string): string =>
  join(tokensFolder(), `${createHash('sha256').update(token).digest('hex')}.json`);

const fileOf = (origins: readonly string[]): TokenOrigins => ({
  format: 'ofakit.token-origins/1',
  origins: [...origins],
});

async function readOrigins(token: string): Promise<readonly string[]> {
  const path = pathOf(token);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw fileProblem('read', path, cause);
  }
  return parseJson(text, tokenOriginsSchema, path).origins;
}

/** The addresses that a token belongs to: `origins` where it belonged to none before. Throws UserError. */
export async function claimToken(
  token: string,
  origins: readonly string[],
): Promise<{ readonly origins: readonly string[]; readonly fresh: boolean }> {
  const fresh = await createPrivate(pathOf(token), `${JSON.stringify(fileOf(origins))}\n`);
  return { origins: fresh ? origins : await readOrigins(token), fresh };
}

/** Takes a claim back: the token was not sent. */
export async function releaseToken(token: string): Promise<void> {
  await rm(pathOf(token), { force: true });
}

/** Its owner says where a token belongs from now on. Throws UserError. */
export async function moveToken(token: string, origin: string): Promise<void> {
  const file = fileOf([origin]);
  const made = await createPrivate(pathOf(token), `${JSON.stringify(file)}\n`);
  if (!made) await writeJson(pathOf(token), file);
}
