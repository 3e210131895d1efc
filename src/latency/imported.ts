/** Latency tables that others measured: the figures as they were published, and where they come from. */
import { z } from 'zod';
import { spaceFileSchema } from '../space/space.js';
import { UserError } from '../util/errors.js';
import { nameSchema } from '../util/names.js';

/** One row of the original; a block whose layers were measured one by one has several. */
export const importedPartSchema = z.strictObject({
  /** Runs. */
  count: z.number().int().positive(),
  meanMs: z.number().nonnegative(),
  /** Standard deviation; null where the original does not say. */
  stdMs: z.number().nonnegative().nullable(),
});
export type ImportedPart = z.infer<typeof importedPartSchema>;

export const importedEntrySchema = z.array(importedPartSchema).nonempty();
export type ImportedEntry = z.infer<typeof importedEntrySchema>;

export const importedTableSchema = z.strictObject({
  format: z.literal('ofakit.imported-latency-table/1'),
  device: z.strictObject({ name: nameSchema }),
  origin: z.strictObject({
    /** Where the figures were published. */
    source: z.string().min(1),
    licence: z.string().min(1),
    /** How they were measured, as far as that is known. */
    note: z.string(),
  }),
  /** With the overrides that the figures are for; `imageSizes` are those of the table. */
  space: spaceFileSchema,
  /** Images a run; latencies are of the whole batch. */
  batch: z.number().int().positive(),
  /**
   * By image size, then by `BlockSpec.key`: the same block was measured anew for each image size, and an architecture's
   * latency is the sum of its own size's figures.
   */
  entries: z.record(
    z.string().regex(/^[1-9]\d*$/, 'must be an image size'),
    z.record(z.string(), importedEntrySchema),
  ),
});
export type ImportedTable = z.infer<typeof importedTableSchema>;

export interface ImportedAnswer {
  /** Sum of the parts' means. */
  readonly latencyMs: number;
  readonly imageSize: number;
  readonly parts: readonly ImportedPart[];
}

/** `the latency table of device "note10" for space "ofa-mbv3" (imported)`. */
const nameOf = ({ device, space }: ImportedTable): string =>
  `the imported latency table of device "${device.name}" for space "${space.name}"`;

/** Ascending. */
export function importedSizes(table: ImportedTable): number[] {
  return Object.keys(table.entries)
    .map(Number)
    .sort((a, b) => a - b);
}

/**
 * A block's figures at an image size; without `imageSize` at the only one that has the block. Throws UserError for an
 * image size or a block that the table lacks, and for a block that several sizes have.
 */
export function importedEntry(table: ImportedTable, key: string, imageSize?: number): ImportedAnswer {
  const size = imageSize ?? onlySize(table, key);
  const entries = Object.hasOwn(table.entries, size) ? table.entries[size]! : undefined;
  if (entries === undefined) {
    throw new UserError(
      `Cannot look up image size ${size}: ${nameOf(table)} has ${importedSizes(table).join(', ')}`,
    );
  }
  const parts = Object.hasOwn(entries, key) ? entries[key]! : undefined;
  if (parts === undefined) {
    throw new UserError(
      `Cannot look up block "${key}": ${nameOf(table)} does not have it at image size ${size}`,
    );
  }
  return { latencyMs: parts.reduce((sum, { meanMs }) => sum + meanMs, 0), imageSize: size, parts };
}

function onlySize(table: ImportedTable, key: string): number {
  const [found, ...others] = importedSizes(table).filter((size) => Object.hasOwn(table.entries[size]!, key));
  if (found === undefined) {
    throw new UserError(`Cannot look up block "${key}": ${nameOf(table)} does not have it`);
  }
  if (others.length > 0) {
    throw new UserError(
      `Cannot look up block "${key}" without an image size: ${nameOf(table)} has it at ${[found, ...others].join(', ')}; say one with --image-size`,
    );
  }
  return found;
}
