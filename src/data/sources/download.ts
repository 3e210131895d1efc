/** Files from the network, checked and whole, or not there at all. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../../util/errors.js';
import { writeAtomic } from '../../util/files.js';

export interface RemoteFile {
  readonly name: string;
  /** Hexadecimal, as published: it guards against damage, HTTPS against forgery. */
  readonly md5: string;
}

const md5Of = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');

async function isThere(path: string, md5: string): Promise<boolean> {
  try {
    return md5Of(await readFile(path)) === md5;
  } catch {
    return false;
  }
}

/**
 * Fetches `baseUrl/name` into `folder` for every file that is not there with the right checksum.
 * Throws UserError when a server refuses, cannot be reached, or sends something else.
 */
export async function downloadFiles(
  baseUrl: string,
  files: readonly RemoteFile[],
  folder: string,
): Promise<void> {
  for (const { name, md5 } of files) {
    const path = join(folder, name);
    if (await isThere(path, md5)) continue;
    const bytes = await fetchBytes(`${baseUrl}/${name}`);
    const current = md5Of(bytes);
    if (current !== md5) {
      throw new UserError(
        `Cannot download ${baseUrl}/${name}: its MD5 must be ${md5}: current value is ${current}`,
      );
    }
    await writeAtomic(path, bytes);
  }
}

async function fetchBytes(url: string): Promise<Uint8Array> {
  let status: string;
  try {
    const response = await fetch(url);
    if (response.ok) return new Uint8Array(await response.arrayBuffer());
    status = `the server answered ${response.status}`;
  } catch (cause) {
    const reason =
      (cause as Error).cause instanceof Error ? (cause as Error & { cause: Error }).cause : (cause as Error);
    throw new UserError(
      `Cannot download ${url}: ${reason.message}; fetch the file by hand and give its folder (NAME:PATH)`,
      { cause },
    );
  }
  throw new UserError(`Cannot download ${url}: ${status}`);
}
