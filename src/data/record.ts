/**
 * What a run keeps of the data it was trained on, `data.json` beside its checkpoint: the meaning of its logits and the
 * scale of its input, which other data, or the same after a change, must not replace. Documented in docs/formats.md.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { fileProblem, readJson, writeAtomic } from '../util/files.js';
import type { Dataset, Normalisation, Split } from './dataset.js';
import { listExamples, splitDigests, type Examples } from './examples.js';

export const DATA_RECORD_FILE = 'data.json';

const channels = z.array(z.number()).nonempty().readonly();

const split = z.strictObject({
  count: z.number().int().nonnegative(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in hexadecimal'),
});
/** Path, bytes, and the first half of the SHA-256 of the first 64 KiB. */
const example = z.tuple([z.string(), z.number().int(), z.string()]).readonly();
const listed = z.array(example).readonly();

export const dataRecordSchema = z.strictObject({
  format: z.literal('ofakit.run-data/1'),
  /** Names in the order of the logits. */
  classes: z.array(z.string()).min(1).readonly(),
  /** Per channel: the input is `(pixel / 255 - mean) / std`. */
  normalisation: z.strictObject({ mean: channels, std: channels }),
  /** How many examples, and the digest of their list. */
  splits: z.strictObject({ train: split, validation: split, test: split }),
  /** Where they are image files. */
  examples: z.strictObject({ train: listed, validation: listed, test: listed }).exactOptional(),
});

export type DataRecord = Readonly<z.infer<typeof dataRecordSchema>>;

/**
 * Of a data set that a run is, or was, trained on. `known`: files that it has by name and size are not read again.
 */
export async function recordDataset(
  dataset: Dataset,
  normalisation?: Normalisation,
  known?: DataRecord,
): Promise<DataRecord> {
  const { mean, std } = normalisation ?? (await dataset.normalisation());
  const examples = await listExamples(dataset, recordedExamples(known));
  const digests = await splitDigests(dataset, examples);
  const splitOf = (name: Split) => ({ count: dataset.splitSize(name), sha256: digests[name] });
  const rows = (name: Split) =>
    examples![name].map(({ name: path, bytes, head }) => [path, bytes, head] as const);
  return {
    format: 'ofakit.run-data/1',
    classes: dataset.classes,
    normalisation: { mean: nonempty(mean), std: nonempty(std) },
    splits: { train: splitOf('train'), validation: splitOf('validation'), test: splitOf('test') },
    ...(examples === undefined
      ? {}
      : { examples: { train: rows('train'), validation: rows('validation'), test: rows('test') } }),
  };
}

/** Undefined where examples are no files. */
export function recordedExamples(record: DataRecord | undefined): Examples | undefined {
  if (record?.examples === undefined) return undefined;
  const { train, validation, test } = record.examples;
  const of = (rows: typeof train) => rows.map(([name, bytes, head]) => ({ name, bytes, head }));
  return { train: of(train), validation: of(validation), test: of(test) };
}

/** What accuracies are keyed by: the images that batch norm is recalibrated on, and those that subnets are judged on. */
export function dataKey({ train, validation }: Readonly<Record<'train' | 'validation', string>>): string {
  return createHash('sha256').update(`${train} ${validation}`).digest('hex');
}

/** `dataKey` of the data as they were. */
export const recordKey = ({ splits: { train, validation } }: DataRecord): string =>
  dataKey({ train: train.sha256, validation: validation.sha256 });

function nonempty(values: readonly number[]): readonly [number, ...number[]] {
  const [first, ...rest] = values;
  if (first === undefined) throw new RangeError('Cannot record a normalisation: it has no channel');
  return [first, ...rest];
}

/** Undefined where a run has none: one of before there were records, or an imported one. Throws UserError for a damaged one. */
export async function readDataRecord(folder: string): Promise<DataRecord | undefined> {
  const path = join(folder, DATA_RECORD_FILE);
  return existsSync(path) ? readJson(path, dataRecordSchema) : undefined;
}

export async function writeDataRecord(folder: string, record: DataRecord): Promise<void> {
  // On one line: the lists are long.
  await writeAtomic(join(folder, DATA_RECORD_FILE), `${JSON.stringify(record)}\n`);
}

/** Of a supernet that was in the folder before. */
export async function removeDataRecord(folder: string): Promise<void> {
  const path = join(folder, DATA_RECORD_FILE);
  await rm(path, { force: true }).catch((cause: unknown) => {
    throw fileProblem('remove', path, cause);
  });
}
