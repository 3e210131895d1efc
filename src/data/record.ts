/**
 * What a run keeps of the data it was trained on, `data.json` beside its checkpoint: the meaning of its logits and the
 * scale of its input, which other data, or the same after a change, must not replace. Documented in docs/formats.md.
 */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { fileProblem, readJson, writeJson } from '../util/files.js';
import type { Dataset, Normalisation } from './dataset.js';

export const DATA_RECORD_FILE = 'data.json';

const channels = z.array(z.number()).nonempty().readonly();

export const dataRecordSchema = z.strictObject({
  format: z.literal('ofakit.run-data/1'),
  /** Names in the order of the logits. */
  classes: z.array(z.string()).min(1).readonly(),
  /** Per channel: the input is `(pixel / 255 - mean) / std`. */
  normalisation: z.strictObject({ mean: channels, std: channels }),
});

export type DataRecord = Readonly<z.infer<typeof dataRecordSchema>>;

/** Of a data set that a run is, or was, trained on. */
export async function recordDataset(dataset: Dataset, normalisation?: Normalisation): Promise<DataRecord> {
  const { mean, std } = normalisation ?? (await dataset.normalisation());
  return {
    format: 'ofakit.run-data/1',
    classes: dataset.classes,
    normalisation: { mean: nonempty(mean), std: nonempty(std) },
  };
}

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
  await writeJson(join(folder, DATA_RECORD_FILE), record);
}

/** Of a supernet that was in the folder before. */
export async function removeDataRecord(folder: string): Promise<void> {
  const path = join(folder, DATA_RECORD_FILE);
  await rm(path, { force: true }).catch((cause: unknown) => {
    throw fileProblem('remove', path, cause);
  });
}
