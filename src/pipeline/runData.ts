/**
 * Data as a run sees them. Names of classes, normalisation and splits belong to the run: other data are taken in the run's
 * order of classes and with its normalisation, and refused where they have classes that it does not know.
 */
import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { alignClasses, classDifference, listNames, sameClasses } from '../data/classNames.js';
import type { Dataset, DatasetSource, OnCorrupt } from '../data/dataset.js';
import { openDataset, parseDatasetSpec } from '../data/index.js';
import type { Loader } from '../data/loader.js';
import {
  compareExamples,
  describeChange,
  listExamples,
  recordedSplits,
  splitDigests,
} from '../data/examples.js';
import {
  DATA_RECORD_FILE,
  dataKey,
  readDataRecord,
  recordDataset,
  recordedExamples,
  writeDataRecord,
  type DataRecord,
} from '../data/record.js';
import { viewDataset } from '../data/view.js';
import { readCheckpointData } from '../supernet/checkpoint.js';
import { UserError } from '../util/errors.js';
import { silentLogger, type Logger } from '../util/logger.js';
import { fittingLoader, type LoaderSettings, type SupernetRun } from './run.js';

/** The part of a run that its data follow from. */
export type RunOfData = Pick<SupernetRun, 'folder' | 'data' | 'record'>;

export interface RunDataOptions {
  /** `NAME[:PATH]`, or a source. Default: what the run was trained on. */
  readonly data?: string | DatasetSource | undefined;
  /** Overrides what the source says. */
  readonly onCorrupt?: OnCorrupt | undefined;
  /** Told what was taken from where. */
  readonly logger?: Logger | undefined;
  /** What can be done instead of giving data, for messages: `take ... with --no-calibrate`. */
  readonly instead?: string | undefined;
}

/** Data as a run sees them. */
export interface RunDataset {
  /** They are those that the run was trained on, perhaps changed since. */
  readonly own: boolean;
  /** With the run's classes, labels and normalisation; what it was trained on is in `train`, and what it knows stays in its split. */
  readonly dataset: Dataset;
  /** Key of accuracies of subnets on these data: of their training and validation images. */
  dataKey(): Promise<string>;
}

/** `openRunData` without the key. */
export async function openRunDataset(run: RunOfData, options: RunDataOptions = {}): Promise<Dataset> {
  return (await openRunData(run, options)).dataset;
}

/**
 * The data set as the run sees it. Where its own data have changed since it was trained, a warning says how. Throws UserError
 * where no data are known, they cannot be opened, or have classes that the run does not know.
 */
export async function openRunData(run: RunOfData, options: RunDataOptions = {}): Promise<RunDataset> {
  const { onCorrupt, logger = silentLogger, instead } = options;
  const given = options.data ?? run.data;
  if (given === null) {
    throw new UserError(
      `Cannot open the data set: none is known for this run; give one with --data${alternative(instead)}`,
    );
  }
  const source = asSplitBy(typeof given === 'string' ? parseDatasetSpec(given) : given, run.data);
  const own = run.data !== null && samePlace(source, run.data);
  const dataset = await openDataset(onCorrupt === undefined ? source : { ...source, onCorrupt });
  const record = await runRecord(run, logger, own ? dataset : undefined);
  if (record === undefined) {
    logger.info(
      `${run.folder} does not know the names of its classes: they are taken to be those of "${dataset.name}", in their order: ${listNames(dataset.classes)}`,
    );
    return { own, dataset, dataKey: remembered(() => splitDigests(dataset, undefined)) };
  }
  return asRunSees(run, record, dataset, { own, logger, instead });
}

/** Of the same kind of data, a copy elsewhere is split as the run's own. */
function asSplitBy(source: DatasetSource, own: DatasetSource | null): DatasetSource {
  if (own === null || source.name !== own.name) return source;
  const { path: _, ...rest } = own;
  const { path, onCorrupt } = source;
  return { ...rest, ...(path === undefined ? {} : { path }), onCorrupt };
}

const alternative = (instead: string | undefined): string => (instead === undefined ? '' : `, or ${instead}`);

async function asRunSees(
  run: RunOfData,
  record: DataRecord,
  dataset: Dataset,
  {
    own,
    logger,
    instead,
  }: { readonly own: boolean; readonly logger: Logger; readonly instead?: string | undefined },
): Promise<RunDataset> {
  const { classes, normalisation } = record;
  const places = alignClasses(dataset.classes, classes);
  if (places === undefined) {
    throw new UserError(
      `Cannot use data set "${dataset.name}"${inFolder(dataset)} with ${run.folder}: its classes must be the run's, or a part of them: ` +
        `${classDifference(dataset.classes, classes)}; give data with the run's classes${alternative(instead)}`,
    );
  }
  if (places.length < classes.length) {
    logger.info(
      `"${dataset.name}" has ${places.length} of the run's ${classes.length} classes: ${listNames(dataset.classes)}`,
    );
  } else if (places.some((place, i) => place !== i)) {
    logger.info(`The classes of "${dataset.name}" are taken in the run's order: ${listNames(classes)}`);
  }
  const recorded = recordedExamples(record);
  const splitOf = recorded && (await recordedSplits(dataset, recorded));
  const view = viewDataset(dataset, {
    classes: { names: classes, places },
    normalisation,
    ...(splitOf === undefined ? {} : { splitOf }),
  });
  if (!own) return { own, dataset: view, dataKey: remembered(() => splitDigests(view, undefined)) };
  const examples = await listExamples(view, recorded);
  const change = recorded && examples && compareExamples(recorded, examples);
  if (change !== undefined) {
    logger.warn(
      `The data of ${run.folder} have changed since it was trained: ${describeChange(change)}; ` +
        'images that it was trained on are in no other split',
    );
  }
  return { own, dataset: view, dataKey: remembered(() => splitDigests(view, examples)) };
}

/** Computed when it is first asked for. */
function remembered(digests: () => ReturnType<typeof splitDigests>): () => Promise<string> {
  let key: Promise<string> | undefined;
  return () => (key ??= digests().then(dataKey));
}

const inFolder = ({ source: { path } }: Dataset): string => (path === undefined ? '' : ` in ${path}`);

/**
 * The run's record. A run of before there were records gets one of its data as they are now, with a word. Undefined where
 * that cannot be: for imported supernets, and where those data are gone. `opened`: the run's data, where they are open.
 */
export async function runRecord(
  run: RunOfData,
  logger: Logger = silentLogger,
  opened?: Dataset,
): Promise<DataRecord | undefined> {
  const { folder, data } = run;
  const known = run.record ?? (await readDataRecord(folder));
  if (known !== undefined || data === null) return known;
  const path = `${folder}/${DATA_RECORD_FILE}`;
  let record: DataRecord;
  try {
    record = await recordDataset(opened ?? (await openDataset(data)));
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    logger.warn(
      `${folder} is of an older version, and its names of classes and normalisation cannot be taken from its data: ${error.message}`,
    );
    return undefined;
  }
  logger.warn(
    `${folder} is of an older version: its names of classes and normalisation are taken from its data as they are now, and kept in ${path}: ${listNames(record.classes)}`,
  );
  await writeDataRecord(folder, record).catch((error: unknown) => {
    if (!(error instanceof UserError)) throw error;
    logger.warn(`They are not kept: ${error.message}`);
  });
  return record;
}

/** Of the same kind, in the same folder. */
export function samePlace(a: DatasetSource, b: DatasetSource): boolean {
  const place = ({ path }: DatasetSource): string | undefined => {
    if (path === undefined) return undefined;
    try {
      return realpathSync(path);
    } catch {
      return resolve(path);
    }
  };
  return a.name === b.name && place(a) === place(b);
}

/**
 * The loader of `openRunDataset`, for scoring and calibrating a run's subnets. Throws UserError as that, and where the data
 * do not fit the space.
 */
export async function openRunLoader(
  run: RunOfData & Pick<SupernetRun, 'space'>,
  options: RunDataOptions,
  settings: LoaderSettings,
): Promise<Loader> {
  return fittingLoader(run.space, await openRunDataset(run, options), settings);
}

/**
 * Data for training in `folder`: as the run sees them that was begun there on the same. Throws UserError where they have
 * classes that it does not know.
 */
export async function asBegun(folder: string, dataset: Dataset, logger: Logger): Promise<Dataset> {
  const data = (await readCheckpointData(folder)) as DatasetSource | null | undefined;
  const record = data === undefined ? undefined : await readDataRecord(folder);
  if (!data || record === undefined || !samePlace(dataset.source, data)) return dataset;
  return (await asRunSees({ folder, data }, record, dataset, { own: true, logger })).dataset;
}

/** The rule that a run in `folder` was begun with, where these are its data. */
export async function underRuleOf(folder: string, source: DatasetSource): Promise<DatasetSource> {
  const begun = (await readCheckpointData(folder)) as DatasetSource | null | undefined;
  if (!begun || !samePlace(source, begun)) return source;
  const { splitRule: _, ...rest } = source;
  return { ...rest, ...(begun.splitRule === undefined ? {} : { splitRule: begun.splitRule }) };
}

/**
 * Data that a subnet of the run is trained on, as a run of its own: the run's own as it sees them, others with their own
 * normalisation. `folder`: of the new run, which may have begun. `otherClasses`: logits of the run do not mean these classes.
 */
export async function openDatasetToLearn(
  run: RunOfData,
  folder: string,
  options: RunDataOptions,
): Promise<{ readonly dataset: Dataset; readonly otherClasses: boolean }> {
  const { data: given = run.data, onCorrupt, logger } = options;
  if (given === null) return { dataset: await openRunDataset(run, options), otherClasses: false };
  const source = typeof given === 'string' ? parseDatasetSpec(given) : given;
  if (run.data !== null && samePlace(source, run.data)) {
    if (source.validationOfAll !== undefined && source.validationOfAll !== run.data.validationOfAll) {
      throw new UserError(
        `Cannot divide the data of ${run.folder} anew: some of its training images would become validation images; leave --validation-share out`,
      );
    }
    return { dataset: await openRunDataset(run, { ...options, data: source }), otherClasses: false };
  }
  const rule = await underRuleOf(folder, source);
  const dataset = await openDataset(onCorrupt === undefined ? rule : { ...rule, onCorrupt });
  const record = await runRecord(run, logger);
  if (record === undefined) return { dataset, otherClasses: false };
  if (!sameClasses(dataset.classes, record.classes)) return { dataset, otherClasses: true };
  const places = alignClasses(dataset.classes, record.classes)!;
  return {
    dataset: viewDataset(dataset, { classes: { names: record.classes, places } }),
    otherClasses: false,
  };
}
