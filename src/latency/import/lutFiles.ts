/** Files of lookup tables as the reference reads them (YAML, one image size a file), and as CSV with one row an entry. */
import { extname } from 'node:path';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { UserError } from '../../util/errors.js';
import { readText, validate } from '../../util/files.js';
import type { ImportedPart } from '../imported.js';

/** By image size, then by the reference's key. */
export type LutRows = Map<number, Map<string, ImportedPart>>;

const yamlSchema = z.record(
  z.string(),
  z.looseObject({
    count: z.number().int().positive(),
    mean: z.number().nonnegative(),
    std: z.number().nonnegative().nullable().optional(),
  }),
);

/** Columns that matter; others (shapes, device, origin of the row) are let pass. */
const COLUMNS = ['resolution', 'key', 'count', 'mean_ms', 'std_ms'] as const;
const filled = z.string().min(1, 'it must not be empty');
const rowSchema = z.object({
  resolution: filled.transform(Number).pipe(z.number().int().positive()),
  key: filled,
  count: filled.transform(Number).pipe(z.number().int().positive()),
  mean_ms: filled.transform(Number).pipe(z.number().nonnegative()),
  std_ms: z.string(),
});

function add(rows: LutRows, imageSize: number, key: string, part: ImportedPart, where: string): void {
  let list = rows.get(imageSize);
  if (list === undefined) rows.set(imageSize, (list = new Map<string, ImportedPart>()));
  if (list.has(key)) {
    throw new UserError(`Cannot use ${where}: "${key}" is there twice for image size ${imageSize}`);
  }
  list.set(key, part);
}

/** No tags but those of YAML's core schema, and errors for what it cannot resolve: nothing in a file is ever executed. */
function plainYaml(text: string, where: string): unknown {
  try {
    const document = parseDocument(text, { schema: 'core', logLevel: 'silent' });
    const [problem] = [...document.errors, ...document.warnings];
    if (problem !== undefined) throw problem;
    return document.toJS() as unknown;
  } catch (cause) {
    const [reason] = (cause as Error).message.split('\n');
    throw new UserError(`Cannot read ${where}: it is not plain YAML (${reason!})`, { cause });
  }
}

/** The reference's own form: key -> {count, mean, std}. The image size is that of the first convolution's key. */
function addYaml(rows: LutRows, text: string, where: string): void {
  const entries = Object.entries(validate(plainYaml(text, where), yamlSchema, where));
  const sizes = new Set(entries.map(([key]) => /^Conv-input:(\d+)x/.exec(key)?.[1]).filter(Boolean));
  if (sizes.size !== 1) {
    throw new UserError(
      `Cannot use ${where}: it must have the first convolution ("Conv-input:...") of one image size: it has ${sizes.size}`,
    );
  }
  for (const [key, { count, mean, std }] of entries)
    add(rows, Number([...sizes][0]), key, { count, meanMs: mean, stdMs: std ?? null }, where);
}

function addCsv(rows: LutRows, text: string, where: string): void {
  const [head = '', ...body] = text.split(/\r?\n/).filter((line) => line !== '');
  const names = head.split(',');
  const missing = COLUMNS.filter((column) => !names.includes(column));
  if (missing.length > 0) {
    throw new UserError(
      `Cannot use ${where}: it must have the columns ${COLUMNS.join(', ')}: ${missing.join(', ')} missing`,
    );
  }
  body.forEach((line, i) => {
    const here = `${where}, line ${i + 2}`;
    const cells = line.split(',');
    if (line.includes('"') || cells.length !== names.length) {
      throw new UserError(
        `Cannot use ${here}: it must have ${names.length} plain values: it has ${cells.length}`,
      );
    }
    const row = validate(Object.fromEntries(names.map((name, c) => [name, cells[c]!])), rowSchema, here);
    const stdMs =
      row.std_ms === '' ? null : validate(Number(row.std_ms), z.number().nonnegative(), `${here}, std_ms`);
    add(rows, row.resolution, row.key, { count: row.count, meanMs: row.mean_ms, stdMs }, here);
  });
}

/** Reads all `files` (`.csv`, `.yaml`, `.yml`) into one table. Throws UserError naming the file, and the line or key. */
export async function readLutFiles(files: readonly string[]): Promise<LutRows> {
  const readers: Readonly<Record<string, typeof addCsv>> = {
    '.csv': addCsv,
    '.yaml': addYaml,
    '.yml': addYaml,
  };
  const rows: LutRows = new Map();
  for (const file of files) {
    const reader = readers[extname(file).toLowerCase()];
    if (reader === undefined) {
      throw new UserError(
        `Cannot read the lookup table ${file}: its name must end in ${Object.keys(readers).join(', ')}`,
      );
    }
    reader(rows, await readText(file), file);
  }
  return rows;
}
