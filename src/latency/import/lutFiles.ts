/** Files of lookup tables as the reference reads them (YAML, one image size a file), and as CSV with one row an entry. */
import { extname } from 'node:path';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { parseDecimal } from '../../util/decimal.js';
import { UserError } from '../../util/errors.js';
import { readText, validate } from '../../util/files.js';
import type { ImportedPart } from '../imported.js';

/** By image size, then by the reference's key. */
export type LutRows = Map<number, Map<string, ImportedPart>>;

/** A decimal number in text, of at least 0. */
const figure = z.string().transform((text, context) => {
  const value = parseDecimal(text);
  if (value !== undefined && value >= 0) return value;
  const wanted = 'it must be a decimal number of at least 0, such as 0.25';
  context.addIssue({
    code: 'custom',
    message: text.trim() === '' ? `it must not be empty: ${wanted}` : `${wanted}: it is "${text}"`,
  });
  return z.NEVER;
});
const count = figure.pipe(z.number().int().positive());

/** `null` is how YAML says that a figure is not known; a CSV leaves its cell empty. */
const figureOrNone = z
  .string()
  .nullable()
  .transform((text) => (text === null || ['', '~', 'null'].includes(text.trim().toLowerCase()) ? null : text))
  .pipe(figure.nullable());

const yamlSchema = z.record(z.string(), z.looseObject({ count, mean: figure, std: figureOrNone.optional() }));

/** Columns that matter; others (shapes, device, origin of the row) are let pass. */
const COLUMNS = ['resolution', 'key', 'count', 'mean_ms', 'std_ms'] as const;
const rowSchema = z.object({
  resolution: count,
  key: z.string().min(1, 'it must not be empty'),
  count,
  mean_ms: figure,
});

function add(rows: LutRows, imageSize: number, key: string, part: ImportedPart, where: string): void {
  let list = rows.get(imageSize);
  if (list === undefined) rows.set(imageSize, (list = new Map<string, ImportedPart>()));
  if (list.has(key)) {
    throw new UserError(`Cannot use ${where}: "${key}" is there twice for image size ${imageSize}`);
  }
  list.set(key, part);
}

/**
 * Every scalar as its text: what looks like a number in YAML (`0x10`, `.inf`) need not be a figure. No tags, and errors for
 * what cannot be resolved: nothing in a file is ever executed.
 */
function plainYaml(text: string, where: string): unknown {
  try {
    const document = parseDocument(text, { schema: 'failsafe', logLevel: 'silent' });
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
  const lines = text.split(/\r?\n/).map((line, i) => ({ line, here: `${where}, line ${i + 1}` }));
  const [head, ...body] = lines.filter(({ line }) => line.trim() !== '');
  const names = (head?.line ?? '').split(',').map((name) => name.trim());
  const missing = COLUMNS.filter((column) => !names.includes(column));
  if (missing.length > 0) {
    throw new UserError(
      `Cannot use ${where}: it must have the columns ${COLUMNS.join(', ')}: ${missing.join(', ')} missing`,
    );
  }
  const twice = names.find((name, i) => name !== '' && names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new UserError(`Cannot use ${where}: each column must be there once: "${twice}" is there again`);
  for (const { line, here } of body) {
    const cells = line.split(',').map((cell) => cell.trim());
    if (line.includes('"') || cells.length !== names.length) {
      const found = line.includes('"') ? 'it has quotes' : `it has ${cells.length}`;
      throw new UserError(`Cannot use ${here}: it must have ${names.length} plain values: ${found}`);
    }
    const cell = (name: (typeof COLUMNS)[number]): string => cells[names.indexOf(name)]!;
    const named = Object.fromEntries(COLUMNS.map((name) => [name, cell(name)]));
    const row = validate(named, rowSchema, here);
    const stdMs = validate(cell('std_ms'), figureOrNone, `${here}, std_ms`);
    add(rows, row.resolution, row.key, { count: row.count, meanMs: row.mean_ms, stdMs }, here);
  }
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
