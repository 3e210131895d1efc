/** Accuracies on different data are different data sets, also in one file: which of them belong together. */
import { UserError } from '../util/errors.js';

/** What to do with a file of several. */
export const ONE_DATA_SET = 'give a file with those on one';

/** Keys of data that accuracies are wanted of, as far as they are known. */
export interface DataKeys {
  /** Of the data at hand. */
  readonly now?: string | undefined;
  /** Of the run's data as it was trained on them: lines of older versions, which have no key, count as on these. */
  readonly recorded?: string | undefined;
}

/** A record as far as its data go. */
export interface KeyedRecord {
  readonly dataSha256?: string;
}

export interface RecordsOfOneData<T extends KeyedRecord> {
  readonly records: readonly T[];
  /** Undefined where nothing says on which data they were measured. */
  readonly key: string | undefined;
  /** Records on other data. */
  readonly others: number;
  /** Of `records`, those of older versions. */
  readonly unkeyed: number;
}

/** Key of the data that a record was measured on, where that can be told. */
export const keyOfRecord = ({ dataSha256 }: KeyedRecord, { recorded }: DataKeys): string | undefined =>
  dataSha256 ?? recorded;

/**
 * The records on the data at hand, or, where there are none, on the run's as they were; where neither is known, those of
 * the one data set that there is. Throws UserError where no records are on such data, or on several; `where` names the file,
 * `remedy` says what to do.
 */
export function recordsOfOneData<T extends KeyedRecord>(
  all: readonly T[],
  keys: DataKeys,
  where: string,
  remedy: string,
): RecordsOfOneData<T> {
  const groups = new Map<string | undefined, T[]>();
  for (const record of all) {
    const key = keyOfRecord(record, keys);
    groups.set(key, [...(groups.get(key) ?? []), record]);
  }
  const known = [keys.now, keys.recorded].filter((key) => key !== undefined);
  const key = known.length > 0 ? known.find((one) => groups.has(one)) : [...groups.keys()][0];
  const records = groups.get(key) ?? [];
  if (known.length > 0 && all.length > 0 && records.length === 0) {
    throw new UserError(
      `Cannot use ${where}: accuracies on the data at hand are wanted: its ${all.length} are on other data; ${remedy}`,
    );
  }
  if (known.length === 0 && groups.size > 1) {
    const counts = [...groups.values()].map(({ length }) => length).join(', ');
    throw new UserError(
      `Cannot use ${where}: accuracies on one data set are wanted: it has ${counts} on ${groups.size}; ${remedy}`,
    );
  }
  const unkeyed = records.filter(({ dataSha256 }) => dataSha256 === undefined).length;
  return { records, key, others: all.length - records.length, unkeyed };
}
