/** Latency tables: what every block of a space costs on one device, measured (and some whole subnets) or imported. */
import { readFile } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import {
  deviceKey,
  fingerprintDifferences,
  fingerprintSchema,
  type DeviceFingerprint,
} from '../device/fingerprint.js';
import { measurementSchema } from '../device/measurement.js';
import type { DeviceProfile } from '../device/profile.js';
import { protocolSchema, type Protocol } from '../device/protocol.js';
import { architectureFileSchema } from '../space/architecture.js';
import { createSpace, spaceFileSchema, type SearchSpace, type SpaceFile } from '../space/space.js';
import { UserError } from '../util/errors.js';
import { decodeText, fileProblem, parseJson, writeAtomic } from '../util/files.js';
import { packagePath } from '../util/scripts.js';
import { blockEntrySchema, type BlockEntry } from './blockContext.js';
import {
  importedEntry,
  importedSizes,
  importedTableSchema,
  type ImportedAnswer,
  type ImportedTable,
} from './imported.js';
import type { Timed } from './steady.js';
import { transferSourceSchema } from './transferSource.js';
import { checkName, nameSchema, pathInside } from '../util/names.js';

const wholeSubnetSchema = z.strictObject({
  architecture: architectureFileSchema,
  /** `fit`: corrects predictions. `check`: never seen by a predictor. */
  role: z.enum(['fit', 'check']),
  ...measurementSchema.shape,
});

export const measuredTableSchema = z.strictObject({
  format: z.literal('ofakit.latency-table/1'),
  device: z.strictObject({ name: nameSchema, key: z.string(), fingerprint: fingerprintSchema }),
  protocol: protocolSchema,
  /** With the overrides it was measured for: a table answers for architectures by itself. */
  space: spaceFileSchema,
  /** Images a run; latencies are of the whole batch. */
  batch: z.number().int().positive(),
  /** By the shape that enters a block (`24x56x56`): what is timed around blocks, alone. Empty where blocks are timed bare. */
  contexts: z.record(z.string(), measurementSchema).default({}),
  /** By `BlockSpec.key`. */
  entries: z.record(z.string(), blockEntrySchema),
  wholeSubnets: z.array(wholeSubnetSchema),
  /** What is known of other devices: from a few whole subnets on, the `transfer` predictor does without blocks. */
  sources: z.array(transferSourceSchema).default([]),
  /** The predictor of queries, so that they need not fit one. `basis`: digest of what it was fitted on. */
  predictor: z.strictObject({ name: z.string(), basis: z.string(), state: z.unknown() }).optional(),
});
export type MeasuredTable = z.infer<typeof measuredTableSchema>;

/** Looked at and passed on: a schema of objects would copy what it checks. */
const timed = z.custom<Timed>(isTimed, 'must have a latencyMs above 0, and times of at least 0 beside it');

const TIMES_BESIDE = ['sentinelMs', 'contextMs', 'quietMs', 'quietSentinelMs', 'contextQuietMs'] as const;

function isTimed(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const times = value as Readonly<Record<string, unknown>>;
  const { latencyMs } = times;
  const others = TIMES_BESIDE.map((name) => times[name] ?? 0);
  return (
    Number.isFinite(latencyMs) &&
    (latencyMs as number) > 0 &&
    others.every((time) => Number.isFinite(time) && (time as number) >= 0)
  );
}

/** Of a measured table what queries need; the rest of it is let pass unread. */
const queriedTableSchema = z.looseObject({
  format: measuredTableSchema.shape.format,
  device: z.looseObject({ name: nameSchema }),
  space: spaceFileSchema,
  entries: z.record(z.string(), timed),
  wholeSubnets: z.array(
    z.object({
      architecture: architectureFileSchema,
      role: wholeSubnetSchema.shape.role,
      latencyMs: z.number().positive(),
      sentinelMs: measurementSchema.shape.sentinelMs.optional(),
      quietMs: measurementSchema.shape.quietMs,
      quietSentinelMs: measurementSchema.shape.quietSentinelMs,
      otherLoad: measurementSchema.shape.otherLoad,
      flags: measurementSchema.shape.flags.optional(),
    }),
  ),
  sources: measuredTableSchema.shape.sources,
  predictor: measuredTableSchema.shape.predictor,
});

/** A table as queries see it: a measured one is one. */
export interface QueriedTable {
  readonly format: 'ofakit.latency-table/1';
  readonly device: { readonly name: string };
  readonly space: SpaceFile;
  readonly entries: Readonly<Record<string, Timed>>;
  readonly wholeSubnets: readonly (Pick<MeasuredSubnet, 'architecture' | 'role'> & Timed)[];
  readonly sources: MeasuredTable['sources'];
  readonly predictor?: MeasuredTable['predictor'];
}

export const latencyTableSchema = z.discriminatedUnion('format', [measuredTableSchema, importedTableSchema]);
export type LatencyTable = z.infer<typeof latencyTableSchema>;
export type MeasuredSubnet = z.infer<typeof wholeSubnetSchema>;

/** latency-tables/DEVICE/SPACE.json of the package, or of `folder`. Throws UserError for names that cannot be in a path. */
export function tablePath(device: string, space: string, folder = packagePath('latency-tables')): string {
  return pathInside(folder, checkName('device', device), `${checkName('space', space)}.json`);
}

/** Throws UserError for a file that is not there, not JSON, or not a latency table. */
export async function readTable(path: string): Promise<LatencyTable> {
  const table = await readTableIfThere(path);
  if (table === undefined) throw noTable(path);
  return table;
}

const noTable = (path: string): UserError =>
  new UserError(`Cannot read the latency table ${path}: there is no such file; make it with "ofa measure"`);

const queriedSchema = z.discriminatedUnion('format', [queriedTableSchema, importedTableSchema]);

/**
 * As `readTable`, but of a measured table only what queries need is checked: a table of a large space has thousands of
 * measurements, and checking every figure of each takes longer than the answer.
 */
export async function readTableForQueries(path: string): Promise<QueriedTable | ImportedTable> {
  const text = await readText(path);
  if (text === undefined) throw noTable(path);
  return parseJson(text, queriedSchema, `the latency table ${path}`);
}

/** As `readTable`; undefined where there is no file. */
export async function readTableIfThere(path: string): Promise<LatencyTable | undefined> {
  const text = await readText(path);
  return text === undefined ? undefined : parseJson(text, latencyTableSchema, `the latency table ${path}`);
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return decodeText(await readFile(path), `the latency table ${path}`);
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw fileProblem('read the latency table', path, cause);
  }
}

const lines = (list: readonly string[], indent = '    '): string =>
  list.map((line) => `\n${indent}${line}`).join(',');

const entryLines = (entries: Readonly<Record<string, unknown>>): string[] =>
  Object.entries(entries)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, entry]) => `${JSON.stringify(key)}: ${JSON.stringify(entry)}`);

/** One line an entry: a table is read by people and compared by git. */
export function formatTable(table: LatencyTable): string {
  if (table.format === 'ofakit.imported-latency-table/1') {
    const { entries, ...head } = table;
    const sizes = importedSizes(table).map(
      (size) => `"${size}": {${lines(entryLines(entries[size]!), '      ')}\n    }`,
    );
    return `${JSON.stringify(head, null, 2).slice(0, -2)},\n  "entries": {${lines(sizes)}\n  }\n}\n`;
  }
  const { contexts, entries, wholeSubnets, sources, predictor, ...head } = table;
  const listLines = (list: readonly unknown[]): string => lines(list.map((item) => JSON.stringify(item)));
  return (
    `${JSON.stringify(head, null, 2).slice(0, -2)},\n` +
    `  "contexts": {${lines(entryLines(contexts))}\n  },\n` +
    `  "entries": {${lines(entryLines(entries))}\n  },\n` +
    `  "wholeSubnets": [${listLines(wholeSubnets)}\n  ],\n` +
    `  "sources": [${listLines(sources)}\n  ]` +
    (predictor === undefined ? '' : `,\n  "predictor": ${JSON.stringify(predictor)}`) +
    '\n}\n'
  );
}

/** Whole or not at all. */
export function writeTable(path: string, table: LatencyTable): Promise<void> {
  return writeAtomic(path, formatTable(table));
}

export function emptyTable(
  profile: DeviceProfile,
  fingerprint: DeviceFingerprint,
  protocol: Protocol,
  space: SpaceFile,
): MeasuredTable {
  return {
    format: 'ofakit.latency-table/1',
    device: { name: profile.name, key: deviceKey(fingerprint), fingerprint },
    protocol,
    space,
    batch: profile.batch,
    contexts: {},
    entries: {},
    wholeSubnets: [],
    sources: [],
  };
}

/** What decides about blocks: all of a space but which image sizes are offered. */
function withoutSizes(space: SpaceFile): unknown {
  return { ...space, imageSizes: [], description: '' };
}

/**
 * Whether numbers of `fresh` may go into `table`: same device in the same state, protocol and space. Image sizes may be
 * added. `bare`: whether blocks will be timed alone; undefined where none will be. Throws UserError naming what differs.
 */
export function checkSameConditions(
  table: MeasuredTable,
  fresh: MeasuredTable,
  path: string,
  bare?: boolean,
): void {
  const refuse = (what: string): never => {
    throw new UserError(
      `Cannot add to the latency table ${path}: ${what}; measure into another file, or delete this one to start afresh`,
    );
  };
  const differences = fingerprintDifferences(fresh.device.fingerprint, table.device.fingerprint);
  if (table.device.key !== fresh.device.key || differences.length > 0) {
    refuse(`the device is not the one it was measured on (${differences.join(', ') || 'another key'})`);
  }
  if (!isDeepStrictEqual(table.protocol, fresh.protocol)) {
    refuse(
      `it was measured by protocol "${table.protocol.name}" with other settings than "${fresh.protocol.name}"`,
    );
  }
  if (!isDeepStrictEqual(withoutSizes(table.space), withoutSizes(fresh.space))) {
    refuse(`its space "${table.space.name}" is defined otherwise (width, classes or layers)`);
  }
  const isBare = Object.keys(table.contexts).length === 0;
  if (bare !== undefined && Object.keys(table.entries).length > 0 && isBare !== bare) {
    refuse(`its blocks were timed ${isBare ? 'alone' : 'between other layers'}`);
  }
}

/** The space of the table's architectures. */
export function tableSpace(table: QueriedTable | ImportedTable): SearchSpace {
  return createSpace(table.space, {}, 'the space in the latency table');
}

/** What decides about blocks, of two spaces alike: classes, width and layers, not the image sizes offered. */
export function sameBlocks(a: SpaceFile, b: SpaceFile): boolean {
  const blocks = ({ family, inputChannels, classes, width, network }: SpaceFile): unknown => [
    family,
    inputChannels,
    classes,
    width,
    network,
  ];
  return isDeepStrictEqual(blocks(a), blocks(b));
}

/** The table, where it was measured with a device profile; `path` names it. Throws UserError for an imported one. */
export function measuredTable(table: LatencyTable, path = `of device "${table.device.name}"`): MeasuredTable {
  if (table.format === 'ofakit.latency-table/1') return table;
  throw new UserError(
    `Cannot measure into the latency table ${path}: its figures were imported from ${table.origin.source}; measure into another file`,
  );
}

/** Whether `tableEntry` has an answer: to a block of a network of `imageSize`. */
export function hasEntry(table: QueriedTable | ImportedTable, key: string, imageSize: number): boolean {
  if (table.format === 'ofakit.latency-table/1') return Object.hasOwn(table.entries, key);
  const entries = Object.hasOwn(table.entries, imageSize) ? table.entries[imageSize]! : {};
  return Object.hasOwn(entries, key);
}

/**
 * A block's entry. `imageSize`: of the network that the block is in, where a table has figures of its own for each.
 * Throws UserError for a block that was not measured: never 0, never a guess.
 */
export function tableEntry(table: LatencyTable, key: string, imageSize?: number): BlockEntry | ImportedAnswer;
export function tableEntry(table: QueriedTable | ImportedTable, key: string, imageSize?: number): Timed;
export function tableEntry(table: QueriedTable | ImportedTable, key: string, imageSize?: number): Timed {
  if (table.format === 'ofakit.imported-latency-table/1') return importedEntry(table, key, imageSize);
  const entry = Object.hasOwn(table.entries, key) ? table.entries[key] : undefined;
  if (entry !== undefined) return entry;
  throw new UserError(
    `Cannot look up block "${key}": the latency table of device "${table.device.name}" for space "${table.space.name}" ` +
      `does not have it; measure it with "ofa measure --space ${table.space.name} --device ${table.device.name}"`,
  );
}
