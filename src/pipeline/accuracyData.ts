/** On which data a run's accuracies were measured, and a predictor was fitted: those of others are not mixed in. */
import { readAccuracies, type AccuracyRecord } from '../accuracy/dataset.js';
import { keyOfRecord, recordsOfOneData, type RecordsOfOneData } from '../accuracy/dataKeys.js';
import { loadPredictor, readPredictorOrigin } from '../accuracy/predictorFile.js';
import type { AccuracyPredictor } from '../accuracy/predictor.js';
import { recordKey } from '../data/record.js';
import type { Engine } from '../engine/engine.js';
import { UserError } from '../util/errors.js';
import { silentLogger, type Logger } from '../util/logger.js';
import { runFiles, type SupernetRun } from './run.js';
import { openRunData, runRecord, type RunDataset } from './runData.js';

/** Key of the data that the run was trained on; undefined where nobody knows. */
export async function ownDataKey(run: SupernetRun, logger?: Logger): Promise<string | undefined> {
  const record = await runRecord(run, logger);
  return record && recordKey(record);
}

/** Key of the run's data as they are now; undefined where there are none, or they cannot be opened. */
async function currentDataKey(run: SupernetRun, logger: Logger): Promise<string | undefined> {
  if (run.data === null) return undefined;
  try {
    return await (await openRunData(run, { logger })).dataKey();
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

/**
 * The run's accuracies that a predictor may be fitted on: on `data`, else on the run's own. A word for those that are left out,
 * and for those of which it is not known. Throws UserError where there are accuracies, but none on these data, or on other
 * weights than the run's.
 */
export async function accuraciesToFit(
  run: SupernetRun,
  data: string | undefined,
  logger: Logger = silentLogger,
): Promise<RecordsOfOneData<AccuracyRecord>> {
  const { accuracies: file } = runFiles(run.folder);
  const all = await readAccuracies(file, run.space);
  if (all.some(({ weightsSha256 }) => weightsSha256 !== run.weightsSha256)) {
    throw new UserError(
      `Cannot fit a predictor on ${file}: it holds accuracies of other weights than the supernet's; delete it and sample again`,
    );
  }
  const recorded = await ownDataKey(run, logger);
  const isRecorded = all.every((record) => keyOfRecord(record, { recorded }) === recorded);
  const now =
    data !== undefined
      ? await (await openRunData(run, { data, logger })).dataKey()
      : isRecorded
        ? recorded
        : await currentDataKey(run, logger);
  const wanted = data === undefined ? '' : ` --data ${data}`;
  const chosen = recordsOfOneData(
    data === undefined ? all : all.filter((record) => keyOfRecord(record, { recorded }) === now),
    { now, recorded },
    file,
    recorded === undefined && data === undefined
      ? 'give the data set with --data'
      : `measure some with "ofa accuracy sample --supernet ${run.folder}${wanted} --count 250"`,
  );
  if (chosen.records.length === 0 && all.length > 0) {
    throw new UserError(
      `Cannot fit a predictor on ${file}: accuracies on ${data} are wanted: its ${all.length} are on other data; measure some with "ofa accuracy sample --supernet ${run.folder}${wanted} --count 250"`,
    );
  }
  const others = all.length - chosen.records.length;
  if (others > 0) {
    logger.warn(
      `${others} of ${all.length} accuracies in ${file} are on other data than ${data ?? "the run's own"}, and are not fitted on`,
    );
  }
  if (chosen.unkeyed > 0) {
    logger.info(
      `${chosen.unkeyed} accuracies in ${file} are of an older version and do not say on which data they were measured: they are taken to be on the run's own`,
    );
  }
  return { ...chosen, others };
}

export interface PredictorUse {
  /** That accuracies are predicted of. Default: the run's own. */
  readonly data?: RunDataset | undefined;
  readonly logger?: Logger | undefined;
}

/**
 * The run's fitted predictor. Throws UserError where it was fitted on other weights, another space or other data, with the
 * commands to run again. One of an older version, which does not say on what, is taken with a word.
 */
export async function openFreshPredictor(
  run: SupernetRun,
  engine: Engine,
  { data, logger = silentLogger }: PredictorUse,
): Promise<AccuracyPredictor> {
  const { folder, space, weightsSha256 } = run;
  const { accuracyPredictor: path } = runFiles(folder);
  const origin = await readPredictorOrigin(path);
  const given = data?.own === false ? data.dataset.source : undefined;
  const name = given?.name;
  const spec = given === undefined ? '' : ` --data ${[given.name, given.path].filter(Boolean).join(':')}`;
  const again = `run "ofa accuracy sample --supernet ${folder}${spec} --count 250" and "ofa accuracy fit --supernet ${folder}${spec}" again`;
  if (origin.weightsSha256 === undefined) {
    logger.warn(
      `${path} is of an older version and does not say which weights and data it was fitted on: it is taken to be of these; to be sure, ${again}`,
    );
  } else if (origin.weightsSha256 !== weightsSha256) {
    throw new UserError(
      `Cannot predict accuracies of ${folder}: ${path} must be fitted on the supernet's weights: it was fitted on others; delete ${runFiles(folder).accuracies}, and ${again}`,
    );
  }
  if (origin.dataSha256 !== undefined && !(await isOfData(run, origin.dataSha256, data, logger))) {
    throw new UserError(
      `Cannot predict accuracies of ${folder}: ${path} must be fitted on accuracies on ${name === undefined ? "the run's own data" : `"${name}"`}: it was fitted on those on other data; ${again}`,
    );
  }
  if (origin.doubt !== undefined) logger.warn(`${path}: ${origin.doubt}`);
  return loadPredictor(path, space, engine);
}

async function isOfData(
  run: SupernetRun,
  key: string,
  data: RunDataset | undefined,
  logger: Logger,
): Promise<boolean> {
  if (data !== undefined && (await data.dataKey()) === key) return true;
  if (data?.own === false) return false;
  const recorded = await ownDataKey(run, logger);
  if (recorded === key) {
    if (data !== undefined) {
      logger.warn(
        `The accuracy predictor of ${run.folder} was fitted before its data changed: what it predicts is of the images as they were`,
      );
    }
    return true;
  }
  // Nobody knows what an imported supernet's own data are.
  if (recorded === undefined && data === undefined) return true;
  return data === undefined && (await currentDataKey(run, logger)) === key;
}
