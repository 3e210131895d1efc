/** What `ofa search` prints. */
import type { FoundSubnet, SearchRunResult } from '../pipeline/search.js';
import { toFile, type ArchitectureFile } from '../space/architecture.js';
import { formatRows } from './console.js';
import { percent } from './context.js';

/** A network of the `--json` document. */
export interface SubnetRow {
  readonly predictedTop1?: number;
  /** On the first device. */
  readonly predictedMs?: number;
  readonly macs: number;
  readonly values: Readonly<Record<string, number>>;
  readonly architecture: ArchitectureFile;
}

const isLatency = (name: string): boolean => name.split('.')[0] === 'latencyMs';

/** `device`: the first, where there are several. */
export function subnetRow({ values, architecture }: FoundSubnet, device: string | undefined): SubnetRow {
  const latency = values['latencyMs'] ?? (device === undefined ? undefined : values[`latencyMs.${device}`]);
  return {
    ...(values['accuracy'] === undefined ? {} : { predictedTop1: values['accuracy'] }),
    ...(latency === undefined ? {} : { predictedMs: latency }),
    macs: values['macs']!,
    values,
    architecture: toFile(architecture),
  };
}

/** Lines of a front that are printed; files have all. */
const MOST_LINES = 50;

/** The networks one a line, a long front evenly thinned; below it the one that was picked. */
export function searchText(
  { strategy, evaluated, best, front, objectives, constraints, picked }: SearchRunResult,
  files: readonly string[],
): string {
  const sought = [...objectives, ...constraints.map(({ quantity }) => quantity)].map(({ name }) => name);
  const all = [best, ...front].flatMap(({ values }) => Object.keys(values));
  const names = [...new Set(all)].filter(
    (name) => name === 'accuracy' || name === 'macs' || isLatency(name) || sought.includes(name),
  );
  const cells = ({ values, architecture }: FoundSubnet): string[] => [
    ...names.map((name) => format(name, values[name])),
    JSON.stringify(toFile(architecture)),
  ];
  const shown = thinned(front);
  const rows = picked === undefined ? shown.map(cells) : [...shown.map(cells), cells(best)];
  const marks = rows.map((_, i) =>
    picked !== undefined && i === shown.length ? `picked (${picked.rule})` : '',
  );
  const header = [...names.map(heading), 'architecture'];
  const table =
    picked === undefined
      ? formatRows(header, rows)
      : formatRows(
          ['', ...header],
          rows.map((row, i) => [marks[i]!, ...row]),
        );
  const count = front.length > 1 ? `, ${front.length} of them on the front` : '';
  const left = shown.length < front.length ? `; ${shown.length} are shown` : '';
  const written = files.length === 0 ? '' : `Written: ${files.join(', ')}\n`;
  return `${strategy}, ${evaluated} architectures${count}${left}\n${table}${written}`;
}

function thinned<T>(list: readonly T[]): readonly T[] {
  if (list.length <= MOST_LINES) return list;
  return Array.from(
    { length: MOST_LINES },
    (_, i) => list[Math.round((i * (list.length - 1)) / (MOST_LINES - 1))]!,
  );
}

function heading(name: string): string {
  if (name === 'accuracy') return 'predicted top-1 (validation)';
  if (isLatency(name)) return name === 'latencyMs' ? 'predicted ms' : `predicted ms (${name.slice(10)})`;
  return name === 'macs' ? 'MACs (millions)' : name;
}

function format(name: string, value: number | undefined): string {
  if (value === undefined) return '-';
  if (name === 'accuracy') return percent(value);
  if (isLatency(name)) return value.toFixed(3);
  return name === 'macs' ? (value / 1e6).toFixed(2) : `${Number(value.toPrecision(6))}`;
}
