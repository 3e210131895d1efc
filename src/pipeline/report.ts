/** `ofa report`: the page of a run, or again that of a quickstart. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readReportData, REPORT_DATA_FILE, writeReport } from '../report/index.js';
import { openRun, runFiles } from './run.js';
import { runReport } from './runReport.js';

/**
 * Writes report.html in `folder` and returns its path: from report.json where a quickstart left one, else what a run's
 * folder tells. Throws UserError where the folder is neither.
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
