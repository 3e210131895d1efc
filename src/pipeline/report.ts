/** `ofa report`: the page of a run, or again that of a quickstart. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { openDataset } from '../data/index.js';
import { localFingerprint } from '../device/fingerprint.js';
import { loadShippedDevice, runtimeSettings } from '../device/profile.js';
import { readReportData, REPORT_DATA_FILE, writeReport, type ReportData } from '../report/index.js';
import { packageVersion } from '../util/scripts.js';
import { openRun, runFiles, type SupernetRun } from './run.js';
import { describeSpaceForReport, describeThisMachine, trainingCurves } from './reportParts.js';

/**
 * Writes report.html in `folder` and returns its path: from report.json where a quickstart left one, else what a run's
 * folder tells of its training. Throws UserError where the folder is neither.
 */
export async function reportFolder(folder: string): Promise<string> {
  const saved = join(folder, REPORT_DATA_FILE);
  const path = runFiles(folder).report;
  await writeReport(
    path,
    existsSync(saved) ? await readReportData(saved) : await runReport(await openRun(folder)),
  );
  return path;
}

async function runReport(run: SupernetRun): Promise<ReportData> {
  const dataset = run.data === null ? undefined : await openDataset(run.data);
  const size = (split: 'train' | 'validation' | 'test'): number => dataset?.splitSize(split) ?? 0;
  const { runtime } = localFingerprint(runtimeSettings(await loadShippedDevice('local-cpu')));
  return {
    title: run.space.name,
    generatedBy: { version: packageVersion(), command: `ofa report ${run.folder}` },
    machine: describeThisMachine(runtime),
    space: describeSpaceForReport(run.space),
    dataset: {
      name: dataset?.name ?? 'unknown',
      train: size('train'),
      validation: size('validation'),
      test: size('test'),
    },
    training: await trainingCurves(run.folder),
    latency: [],
    subnets: [],
    front: [],
    models: [],
  };
}
