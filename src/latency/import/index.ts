/** All formats of foreign latency tables: add a line to add one. */
import { unknownName } from '../../util/errors.js';
import type { LatencyImport } from './format.js';
import { ofaLut } from './ofaLut.js';

export const latencyImports: ReadonlyMap<string, LatencyImport> = new Map(
  [ofaLut].map((format) => [format.name, format]),
);

/** Throws UserError naming the known ones. */
export function latencyImportByName(name: string): LatencyImport {
  const format = latencyImports.get(name);
  if (format === undefined) throw unknownName('format of latency tables', name, [...latencyImports.keys()]);
  return format;
}
