/** The page of a run: how it was trained, and what was sampled, measured and chosen since. */
import { join } from 'node:path';
import { readAccuracies, type AccuracyRecord } from '../accuracy/dataset.js';
import { openDataset } from '../data/index.js';
import { localFingerprint } from '../device/fingerprint.js';
import { loadShippedDevice, runtimeSettings } from '../device/profile.js';
import { openLatencyTable } from '../latency/query.js';
import type { ReportData, ReportOrigin } from '../report/data.js';
import { toFile } from '../space/architecture.js';
import { readCheckpointPosition } from '../supernet/checkpoint.js';
import { importedPositionSchema, positionSchema } from '../training/position.js';
import { UserError } from '../util/errors.js';
import { packageVersion } from '../util/scripts.js';
import { accuraciesToFit } from './accuracyData.js';
import { judgeTable } from './specializationReport.js';
import { describeSpaceForReport, describeThisMachine, trainingCurves } from './reportParts.js';
import { runFiles, type SupernetRun } from './run.js';
import type { SearchDevice } from './searchQuantities.js';
import { readSpecializations } from './specializations.js';
import { tablesFor } from './tables.js';

/** All that the folder tells, and the latency tables for its space. Throws UserError for damaged files. */
export async function runReport(run: SupernetRun): Promise<ReportData> {
  const { folder, space, record } = run;
  const dataset = run.data === null ? undefined : await openDataset(run.data).catch(() => undefined);
  const size = (split: 'train' | 'validation' | 'test'): number =>
    record?.splits[split].count ?? dataset?.splitSize(split) ?? 0;
  const { runtime } = localFingerprint(runtimeSettings(await loadShippedDevice('local-cpu')));
  const classNames = record?.classes ?? dataset?.classes;
  const records = await sampledAccuracies(run);
  const sampled = summary(records);
  const queries = await measuredTables(run);
  return {
    title: space.name,
    generatedBy: { version: packageVersion(), command: `ofa report ${folder}` },
    machine: describeThisMachine(runtime),
    space: describeSpaceForReport(space),
    origin: await originOf(run),
    dataset: {
      name: run.data?.name ?? 'unknown',
      train: size('train'),
      validation: size('validation'),
      test: size('test'),
    },
    ...(classNames && { classNames: [...classNames] }),
    training: await trainingCurves(folder),
    ...(sampled && { sampled }),
    latency: queries.flatMap(({ name, latency }) => judgeTable(name, latency)),
    tables: queries.map(({ name, latency: { table } }) => ({
      device: name,
      blocks: Object.keys(table.entries).length,
    })),
    subnets: queries.flatMap((query) => predictedSubnets(query, records)),
    front: [],
    models: await chosenModels(run),
  };
}

async function originOf({ folder, space }: SupernetRun): Promise<ReportOrigin> {
  const position = await readCheckpointPosition(folder);
  const imported = importedPositionSchema.safeParse(position);
  if (imported.success) return { kind: 'imported', from: imported.data.file };
  const trained = positionSchema.safeParse(position);
  const alone = describeSpaceForReport(space).subnets === '1';
  if (!trained.success) return { kind: 'unknown' };
  return alone && trained.data.init !== null
    ? { kind: 'finetuned' }
    : { kind: 'trained', from: trained.data.schedule.name };
}

/** On the run's own data and of its weights; [] where there are none. Throws UserError for a damaged file. */
async function sampledAccuracies(run: SupernetRun): Promise<readonly AccuracyRecord[]> {
  const all = await readAccuracies(runFiles(run.folder).accuracies, run.space);
  if (!all.some(({ weightsSha256 }) => weightsSha256 === run.weightsSha256)) return [];
  try {
    return (await accuraciesToFit(run, undefined)).records;
  } catch (error) {
    if (error instanceof UserError) return [];
    throw error;
  }
}

function summary(records: readonly AccuracyRecord[]): ReportData['sampled'] {
  const [first] = records;
  if (first === undefined) return undefined;
  const top1 = records.map((record) => record.top1);
  return {
    count: records.length,
    split: first.split,
    images: first.count,
    lowestTop1: top1.reduce((a, b) => Math.min(a, b)),
    highestTop1: top1.reduce((a, b) => Math.max(a, b)),
  };
}

const measuredTables = async ({ space }: SupernetRun): Promise<SearchDevice[]> =>
  Promise.all(
    (await tablesFor(space)).map(async ({ device, path }) => ({
      name: device,
      latency: await openLatencyTable(path),
    })),
  );

/** Measured accuracies at predicted latencies, of networks that the table knows. */
function predictedSubnets(
  { name, latency }: SearchDevice,
  records: readonly AccuracyRecord[],
): ReportData['subnets'] {
  return records
    .filter(({ architecture }) => latency.lacks(architecture) === 0)
    .map(({ architecture, top1 }) => ({
      architecture: toFile(architecture),
      device: name,
      latencyMs: latency.architecture(architecture).latencyMs,
      top1,
      kind: 'predicted',
    }));
}

async function chosenModels({ folder, weightsSha256 }: SupernetRun): Promise<ReportData['models']> {
  const specializations = await readSpecializations(folder, weightsSha256);
  return specializations.flatMap(({ folder: own, file }) =>
    file.models.map(({ onnx, maxAbsDifference: _difference, ...model }) => ({
      ...model,
      file: join(own, onnx.split(/[/\\]/).at(-1)!),
    })),
  );
}
