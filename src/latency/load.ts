/** Whether a table was measured on a machine that had other work to do. */
import { median } from 'simple-statistics';
import type { ImportedTable } from './imported.js';
import type { QueriedTable } from './table.js';

export interface TableLoad {
  /** Share of the processors that other processes kept busy: the median over measurements; null where it was not recorded. */
  readonly otherLoad: number | null;
  /** Share of measurements in which other processes took the processor away from the one that measured. */
  readonly contention: number;
  /** Measurements that this is about. */
  readonly measurements: number;
  /** Whether that is so much that latencies may be too high. */
  readonly loaded: boolean;
}

/** Above this other processes keep a whole core or the caches of a small machine. */
const LOADED_SHARE = 0.1;
const CONTENTION_SHARE = 0.25;

/** Of an entry, which queries read unchecked: what is damaged there counts as not recorded. */
function loadOf(entry: object): number[] {
  const load: unknown = 'otherLoad' in entry ? entry.otherLoad : undefined;
  return typeof load === 'number' && load >= 0 && load <= 1 ? [load] : [];
}

const wasContended = (entry: object): boolean =>
  'flags' in entry && Array.isArray(entry.flags) && entry.flags.includes('contention');

/** Null for tables of others, and those without measurements. */
export function tableLoad(table: QueriedTable | ImportedTable): TableLoad | null {
  if (table.format !== 'ofakit.latency-table/1') return null;
  const all: object[] = [...Object.values(table.entries), ...table.wholeSubnets];
  if (all.length === 0) return null;
  const loads = all.flatMap(loadOf);
  const load = loads.length === 0 ? null : median(loads);
  const contention = all.filter(wasContended).length / all.length;
  return {
    otherLoad: load,
    contention,
    measurements: all.length,
    loaded: (load ?? 0) > LOADED_SHARE || contention > CONTENTION_SHARE,
  };
}

/** What to tell whoever uses a loaded table; undefined for a quiet one. */
export function loadWarning(load: TableLoad | null): string | undefined {
  if (load?.loaded !== true) return undefined;
  const percent = (share: number): string => `${Math.round(100 * share)} %`;
  const busy =
    load.otherLoad === null ? [] : [`other processes kept ${percent(load.otherLoad)} of the processors busy`];
  const preempted =
    load.contention === 0
      ? []
      : [`in ${percent(load.contention)} of the measurements they took the processor away`];
  return (
    `The table was measured under load: ${[...busy, ...preempted].join(', and ')} (${load.measurements} measurements): ` +
    'latencies may be too high; measure on a quiet machine, into another --table'
  );
}
