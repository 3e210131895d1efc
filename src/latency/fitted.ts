/** The predictor of a table's queries: fitted once, kept in the table, fitted anew where the table has changed since. */
import { createHash } from 'node:crypto';
import { geometricMean } from 'simple-statistics';
import { fromFile, type ArchitectureFile } from '../space/architecture.js';
import type { SearchSpace } from '../space/space.js';
import { predictorContext, type PredictorContext } from './context.js';
import { FEW_EXAMPLES, restorePredictor } from './crossValidation.js';
import type { LatencyExample, LatencyPredictor } from './predictor.js';
import { chooseLatencyPredictor, latencyPredictors } from './predictors.js';
import type { SubnetRole } from './subnets.js';
import { UserError } from '../util/errors.js';
import type { ImportedTable } from './imported.js';
import { steadyMs, usualSpeed, type UsualSpeed } from './steady.js';
import { hasEntry, tableEntry, tableSpace, type MeasuredTable, type QueriedTable } from './table.js';

/** How fast the machine of a table usually was; undefined where nobody knows. */
export function usualSpeedOf(table: QueriedTable | ImportedTable): UsualSpeed | undefined {
  if (table.format === 'ofakit.imported-latency-table/1') return undefined;
  return usualSpeed([...Object.values(table.entries), ...table.wholeSubnets]);
}

/** By JSON of its architecture, what a whole subnet took in ms at the usual speed of the machine, in order of measurement. */
export function repeatedTimesMs(
  table: QueriedTable,
  role?: SubnetRole,
): ReadonlyMap<string, readonly number[]> {
  const usual = usualSpeedOf(table);
  const times = new Map<string, number[]>();
  for (const subnet of table.wholeSubnets) {
    if (role !== undefined && subnet.role !== role) continue;
    const key = JSON.stringify(subnet.architecture);
    times.set(key, [...(times.get(key) ?? []), steadyMs(subnet, usual)]);
  }
  return times;
}

/** Measured subnets of one role, at the usual speed of the machine: the geometric mean where one was measured several times. */
export function tableExamples(table: QueriedTable | ImportedTable, role: SubnetRole): LatencyExample[] {
  if (table.format === 'ofakit.imported-latency-table/1') return [];
  return [...repeatedTimesMs(table, role)].map(([key, list]) => ({
    architecture: fromFile(JSON.parse(key) as ArchitectureFile),
    latencyMs: geometricMean(list),
  }));
}

/** Those of them whose blocks the table has; all where it has no blocks: what predictors can be fitted and judged on. */
export function knownExamples(
  table: QueriedTable | ImportedTable,
  role: SubnetRole,
  space: SearchSpace = tableSpace(table),
): LatencyExample[] {
  const examples = tableExamples(table, role);
  if (Object.keys(table.entries).length === 0) return examples;
  return examples.filter(({ architecture }) =>
    space.network(architecture).blocks.every(({ key }) => hasEntry(table, key, architecture.imageSize)),
  );
}

/** Looks blocks up, at the usual speed of the machine; in networks of an image size. Throws as `tableEntry`. */
export function blockLookup(table: QueriedTable | ImportedTable): (key: string, imageSize: number) => number {
  const usual = usualSpeedOf(table);
  return (key, imageSize) => steadyMs(tableEntry(table, key, imageSize), usual);
}

/** What predictors may know of a table: its blocks (if it has any), other devices, and its space. */
export function tableContext(
  table: QueriedTable | ImportedTable,
  space: SearchSpace = tableSpace(table),
): PredictorContext {
  const sources = table.format === 'ofakit.latency-table/1' ? table.sources : [];
  if (Object.keys(table.entries).length === 0) return predictorContext({ space, sources });
  return predictorContext({
    space,
    sources,
    blockLatencyMs: blockLookup(table),
  });
}

/** Digest of all that a predictor of the table is fitted on. */
function basis(table: QueriedTable): string {
  const usual = usualSpeedOf(table);
  const entries = Object.entries(table.entries).map(([key, entry]) => [key, steadyMs(entry, usual)]);
  const examples = tableExamples(table, 'fit');
  const parts: unknown[] = [entries.sort(), examples, table.sources];
  // Those of before were chosen and given intervals by rules that few examples cannot carry.
  if (examples.length < FEW_EXAMPLES) parts.push('few');
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
}

/** Chooses a predictor and puts it into the table. Where nothing can be fitted, the table has none. */
export function keepPredictor(table: MeasuredTable): void {
  const examples = knownExamples(table, 'fit');
  delete table.predictor;
  if (examples.length === 0) return;
  try {
    const predictor = chooseLatencyPredictor(examples, tableContext(table));
    table.predictor = { name: predictor.name, basis: basis(table), state: predictor.state() };
  } catch (error) {
    // Too few subnets without blocks, or a block that could not be measured: a query says so.
    if (!(error instanceof UserError)) throw error;
  }
}

/** The one that is kept, where it still fits the table; otherwise chosen now. Throws as `chooseLatencyPredictor`. */
export function predictorOf(
  table: QueriedTable | ImportedTable,
  context: PredictorContext,
): LatencyPredictor {
  if (table.format === 'ofakit.latency-table/1' && table.predictor !== undefined) {
    const definition = latencyPredictors.get(table.predictor.name);
    if (definition !== undefined && table.predictor.basis === basis(table))
      return restorePredictor(definition, table.predictor.state, context);
  }
  return chooseLatencyPredictor(knownExamples(table, 'fit', context.space), context);
}
