/** `ofa runs`: which runs there are, how two differ, and away with one. */
import { readdir, realpath, rm, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { CHECKPOINT_FILE } from '../supernet/checkpoint.js';
import { UserError } from '../util/errors.js';
import { fileProblem } from '../util/files.js';
import { withFolderLock } from '../util/lock.js';
import { describeRun, folderBytes, isRun, requireRun, type RunSummary } from './runSummary.js';

/** Folders below a given one that are looked into. */
const DEPTH = 4;

/** The runs in and below the folders, by path. Throws UserError for what is no folder. */
export async function listRuns(folders: readonly string[]): Promise<RunSummary[]> {
  const found = new Map<string, string>();
  for (const folder of folders) {
    if (!(await isFolder(folder)))
      throw new UserError(`Cannot list the runs in ${folder}: there is no such folder`);
    for (const run of await findRuns(folder, DEPTH)) {
      const real = await realpath(run);
      if (!found.has(real)) found.set(real, run);
    }
  }
  const runs: RunSummary[] = [];
  for (const run of [...found.values()].sort()) runs.push(await describeRun(run));
  return runs;
}

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );

async function findRuns(folder: string, depth: number): Promise<string[]> {
  const own = isRun(folder) ? [folder] : [];
  if (depth === 0) return own;
  // What cannot be read has no runs for this user.
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const below: string[] = [];
  for (const entry of entries) {
    if (!entry.isDirectory() || entry.name.startsWith('.') || entry.name === 'node_modules') continue;
    below.push(...(await findRuns(join(folder, entry.name), depth - 1)));
  }
  return [...own, ...below];
}

export interface RunDifference {
  readonly key: keyof RunSummary;
  readonly a: unknown;
  readonly b: unknown;
}

export interface RunComparison {
  readonly a: RunSummary;
  readonly b: RunSummary;
  /** Keys whose values differ, without those that always do: path, size, date, who writes. */
  readonly differences: readonly RunDifference[];
}

/** Throws UserError where one is no run. */
export async function compareRuns(first: string, second: string): Promise<RunComparison> {
  const [a, b] = [await describeRun(first), await describeRun(second)];
  const aside: readonly string[] = ['run', 'sizeBytes', 'modified', 'inUseBy'];
  const keys = (Object.keys({ ...a, ...b }) as (keyof RunSummary)[]).filter((key) => !aside.includes(key));
  const differences = keys.flatMap((key) =>
    isDeepStrictEqual(a[key], b[key]) ? [] : [{ key, a: a[key] ?? null, b: b[key] ?? null }],
  );
  return { a, b, differences };
}

/** What ofakit writes into a run, but supernet.json. */
const OWN_FILES =
  /^(?:data\.json|metrics\.jsonl|accuracy\.jsonl|accuracy-predictor\.safetensors|teacher\.safetensors|(?:supernet|optimizer)-[0-9a-f]{16}\.safetensors|report\.(?:html|json)|specialized\.jsonl|model\.onnx)$/;
const FRONT_FILES = /^front\.(?:json|csv|svg)$/;

export interface RemovedRun {
  readonly run: string;
  readonly freedBytes: number;
  /** Names in the folder that are not of a run, and stay. */
  readonly kept: readonly string[];
}

/**
 * Removes what ofakit wrote into the run, and the folder where nothing else is in it. Throws UserError where it is no run,
 * or another process writes there.
 */
export async function removeRun(run: string): Promise<RemovedRun> {
  requireRun(run, 'remove');
  const before = await folderBytes(run);
  await withFolderLock(run, { action: 'remove', instead: 'stop it' }, async () => {
    await removeNamed(join(run, 'front'), FRONT_FILES);
    await rmdir(join(run, 'front')).catch(() => undefined);
    await removeNamed(run, OWN_FILES);
    // Last: what is stopped half way is still a run, and can be removed again.
    await remove(join(run, CHECKPOINT_FILE));
  });
  const gone = await rmdir(run).then(
    () => true,
    () => false,
  );
  if (gone) return { run, freedBytes: before, kept: [] };
  return { run, freedBytes: before - (await folderBytes(run)), kept: (await readdir(run)).sort() };
}

async function removeNamed(folder: string, names: RegExp): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries)
    if (entry.isFile() && names.test(entry.name)) await remove(join(folder, entry.name));
}

async function remove(path: string): Promise<void> {
  await rm(path, { force: true }).catch((cause: unknown) => {
    throw fileProblem('remove', path, cause);
  });
}
