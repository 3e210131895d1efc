/** Temporary files beside the files that they become, and what kills leave of them. */
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { threadId } from 'node:worker_threads';
import { machineTag, ownIdentity, runsHere } from './processIdentity.js';

let count = 0;
let tag: string | undefined;

/** A name that no other process, thread or call makes: `PATH.MACHINE-PID-THREAD-COUNT.tmp`. */
export function temporaryName(path: string): string {
  tag ??= machineTag(ownIdentity());
  return `${path}.${tag}-${process.pid}-${threadId}-${count++}.tmp`;
}

/** Earlier versions left the machine out. */
const TEMPORARY = /\.(?:([0-9a-f]{6})-)?(\d{1,10})-\d+-\d+\.tmp$/;
/** What another machine wrote, whose processes cannot be seen from here, is left alone for so long. */
const FOREIGN_MS = 24 * 3600 * 1000;

/**
 * Removes temporary files in `folder` itself whose writer has ended; with `prefix` only those whose names begin with it.
 * For who has the folder's (or the file's) lock. What cannot be removed stays, without an error.
 */
export async function sweepTemporaries(folder: string, prefix = ''): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names) {
    const match = TEMPORARY.exec(name);
    if (match === null || !name.startsWith(prefix)) continue;
    const path = join(folder, name);
    if (await isLeftOver(path, match[1], Number(match[2])))
      await rm(path, { force: true }).catch(() => undefined);
  }
}

async function isLeftOver(path: string, machine: string | undefined, pid: number): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined || !found.isFile()) return false;
  if (machine !== undefined && machine !== machineTag(ownIdentity()))
    return Date.now() - found.mtimeMs > FOREIGN_MS;
  // In a container every process may have the same number as the one before it.
  if (pid === process.pid) return found.mtimeMs < performance.timeOrigin - 1000;
  return !runsHere(pid);
}
