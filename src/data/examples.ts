/**
 * Which examples a data set has: what a run compares its data by. An image file is known by its path below the data set's
 * folder, its size, and a digest of its beginning; images in memory, which have no names, by all their pixels.
 */
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { listNames } from './classNames.js';
import { SPLITS, type Dataset, type Split } from './dataset.js';
import type { FileStore } from './imageStore.js';

export interface Example {
  /** Path relative to the data set's folder, in Unicode's composed form. */
  readonly name: string;
  /** Of the file; -1 where it cannot be read. */
  readonly bytes: number;
  /** First half of the SHA-256 of the first 64 KiB of the file, in hexadecimal. */
  readonly head: string;
}

export type Examples = Readonly<Record<Split, readonly Example[]>>;

const HEAD_BYTES = 64 * 1024;
const FILES_AT_ONCE = 16;

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Names in macOS's decomposed form are the same names. */
export const exampleName = (file: string): string => file.normalize('NFC');

/** Size of a file; -1 where there is none: whoever decodes the image reports that. */
export function fileBytes({ root }: FileStore, file: string): number {
  try {
    // Three millionths of a second, and ten times that as a promise: there may be a million files.
    return statSync(`${root}/${file}`, { throwIfNoEntry: false })?.size ?? -1;
  } catch {
    return -1;
  }
}

export async function fileHead({ root }: FileStore, file: string): Promise<string> {
  const hash = createHash('sha256');
  const handle = await open(`${root}/${file}`, 'r').catch(() => undefined);
  try {
    const bytes = await handle?.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    if (bytes !== undefined) hash.update(bytes.buffer.subarray(0, bytes.bytesRead));
  } catch {
    // As a file that is not there.
  } finally {
    await handle?.close();
  }
  return hash.digest('hex').slice(0, 32);
}

/** `work` for every item, some at once; results in order. */
export async function inTurns<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let first = 0; first < items.length; first += FILES_AT_ONCE)
    results.push(...(await Promise.all(items.slice(first, first + FILES_AT_ONCE).map(work))));
  return results;
}

/**
 * The examples of every split, sorted by name; undefined where they are no files. `known`: files that are recognised by name
 * and size are not read.
 */
export async function listExamples(dataset: Dataset, known?: Examples): Promise<Examples | undefined> {
  const { images } = dataset;
  if (images.kind !== 'files') return undefined;
  const before = new Map(SPLITS.flatMap((split) => known?.[split] ?? []).map((each) => [each.name, each]));
  const describe = async (file: string): Promise<Example> => {
    const name = exampleName(file);
    const bytes = fileBytes(images, file);
    const same = before.get(name);
    if (same?.bytes === bytes) return same;
    return { name, bytes, head: await fileHead(images, file) };
  };
  const listed = async (split: Split): Promise<Example[]> => {
    const files = Array.from({ length: dataset.splitSize(split) }, (_, i) => dataset.ref(split, i).file!);
    return (await inTurns(files, describe)).sort((a, b) => (a.name < b.name ? -1 : 1));
  };
  return { train: await listed('train'), validation: await listed('validation'), test: await listed('test') };
}

/** Digest of every split: the same examples, in whatever order of files, have the same. */
export async function splitDigests(
  dataset: Dataset,
  examples: Examples | undefined,
): Promise<Record<Split, string>> {
  const { images } = dataset;
  if (examples !== undefined || images.kind === 'files') {
    const listed = examples ?? (await listExamples(dataset))!;
    const digest = (split: Split): string =>
      sha256(listed[split].map(({ name, bytes, head }) => `${name}\0${bytes}\0${head}\n`).join(''));
    return { train: digest('train'), validation: digest('validation'), test: digest('test') };
  }
  const pixels = createHash('sha256').update(new Uint8Array(images.pixels)).digest('hex');
  const digest = (split: Split): string => {
    const lines = Array.from({ length: dataset.splitSize(split) }, (_, i) => {
      const { position } = dataset.ref(split, i);
      return `${position} ${dataset.classes[dataset.label(split, i)]}\n`;
    });
    return sha256(pixels + lines.join(''));
  };
  return { train: digest('train'), validation: digest('validation'), test: digest('test') };
}

/** What became of the examples of a split. */
export interface SplitChange {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** Of the same name and another size. */
  readonly replaced: readonly string[];
}

export type DataChange = Readonly<Record<Split, SplitChange>>;

const changedNames = ({ added, removed, replaced }: SplitChange): number =>
  added.length + removed.length + replaced.length;

/** Undefined where nothing did. */
export function compareExamples(before: Examples, now: Examples): DataChange | undefined {
  const compare = (split: Split): SplitChange => {
    const was = new Map(before[split].map((each) => [each.name, each]));
    const is = new Set(now[split].map(({ name }) => name));
    return {
      added: now[split].filter(({ name }) => !was.has(name)).map(({ name }) => name),
      removed: before[split].filter(({ name }) => !is.has(name)).map(({ name }) => name),
      replaced: now[split]
        .filter(({ name, bytes, head }) => {
          const own = was.get(name);
          return own !== undefined && (own.bytes !== bytes || own.head !== head);
        })
        .map(({ name }) => name),
    };
  };
  const change = { train: compare('train'), validation: compare('validation'), test: compare('test') };
  const changed = SPLITS.some((split) => changedNames(change[split]) > 0);
  return changed ? change : undefined;
}

/** `train 2 added (a/1.png, a/2.png), 1 removed (b/7.png); test 1 replaced (a/3.png)`. */
export function describeChange(change: DataChange): string {
  return SPLITS.filter((split) => changedNames(change[split]) > 0)
    .map((split) => {
      const parts = (['added', 'removed', 'replaced'] as const)
        .map((what) => [what, change[split][what]] as const)
        .filter(([, names]) => names.length > 0)
        .map(([what, names]) => `${names.length} ${what} (${listNames(names, 3)})`);
      return `${split} ${parts.join(', ')}`;
    })
    .join('; ');
}

/**
 * The split of every example as `recorded` has it; of one that is not there by name, but by content under another name, too.
 * Others stay where they are. Undefined where examples are no files.
 */
export async function recordedSplits(
  dataset: Dataset,
  recorded: Examples,
): Promise<((split: Split, index: number) => Split) | undefined> {
  const { images } = dataset;
  if (images.kind !== 'files') return undefined;
  const byName = new Map<string, Split>();
  const byContent = new Map<string, Split>();
  const sizes = new Set<number>();
  for (const split of [...SPLITS].reverse()) {
    // Training last: of an image that was there twice it counts.
    for (const { name, bytes, head } of recorded[split]) {
      byName.set(name, split);
      byContent.set(`${bytes} ${head}`, split);
      sizes.add(bytes);
    }
  }
  const find = async (file: string): Promise<Split | undefined> => {
    const known = byName.get(exampleName(file));
    if (known !== undefined) return known;
    const bytes = fileBytes(images, file);
    return sizes.has(bytes) ? byContent.get(`${bytes} ${await fileHead(images, file)}`) : undefined;
  };
  const found: Record<Split, (Split | undefined)[]> = { train: [], validation: [], test: [] };
  for (const split of SPLITS) {
    const indices = Array.from({ length: dataset.splitSize(split) }, (_, i) => i);
    found[split] = await inTurns(indices, (i) => find(dataset.ref(split, i).file!));
  }
  return (split, index) => found[split][index] ?? split;
}
