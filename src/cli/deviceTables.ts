/** Latency tables of the devices that a command is told by name, by file, or both. */
import type { SearchDevice } from '../pipeline/searchQuantities.js';
import type { SearchSpace } from '../space/space.js';
import { UsageError } from '../util/errors.js';

/**
 * `names` with their tables, in order; `tables` alone say whose they are. Throws UsageError unless every name has a table
 * where tables are given, UserError for a table that is not there, damaged, or of other networks than those of `space`.
 */
export async function openDeviceTables(
  space: SearchSpace,
  names: readonly string[] | undefined,
  tables: readonly string[] = [],
): Promise<SearchDevice[]> {
  if (names !== undefined && tables.length > 0 && tables.length !== names.length) {
    throw new UsageError(
      `Cannot use --table: one for every --device is wanted, ${names.length} in all: there are ${tables.length}`,
    );
  }
  const [{ findTable }, { openLatencyTable }] = await Promise.all([
    import('../pipeline/tables.js'),
    import('../latency/query.js'),
  ]);
  const devices: SearchDevice[] = [];
  for (const [i, given] of (names ?? tables).entries()) {
    const latency = await openLatencyTable(
      names === undefined ? given : await findTable(given, space, tables[i]),
    );
    latency.checkSpace(space);
    devices.push({ name: names === undefined ? latency.table.device.name : given, latency });
  }
  return devices;
}
