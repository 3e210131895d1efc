/** The report of a quickstart, from what its stages handed on. */
import { basename, join } from 'node:path';
import { tableExamples } from '../latency/query.js';
import { measuredTable } from '../latency/table.js';
import type { ReportData } from '../report/data.js';
import { writeReport } from '../report/index.js';
import { toFile, type Architecture } from '../space/architecture.js';
import { packageVersion } from '../util/scripts.js';
import type { QuickstartResults } from './quickstartSettings.js';
import { describeSpaceForReport, describeThisMachine, trainingCurves } from './reportParts.js';

/** Writes report.html, and report.json that it can be made again from. */
export async function writeQuickstartReport(results: QuickstartResults): Promise<void> {
  await writeReport(join(results.folder, 'report.html'), await reportData(results));
}

async function reportData(results: QuickstartResults): Promise<ReportData> {
  const { settings, run, splits, accuracy, latency, query, measured, front, models } = results;
  const { space } = run;
  const device = latency.device;
  const table = measuredTable(query.table);
  return {
    title: `${space.name} on ${device}`,
    generatedBy: { version: packageVersion(), command: `ofa quickstart --seed ${settings.seed}` },
    machine: describeThisMachine(table.device.fingerprint.runtime),
    space: describeSpaceForReport(space),
    ...(run.record && { classNames: run.record.classes }),
    dataset: { name: settings.data, ...splits },
    training: await trainingCurves(run.folder),
    accuracy: {
      kendallTau: accuracy.score.kendallTau,
      kendallTauStandardError: accuracy.standardErrors.kendallTau,
      rmsePoints: accuracy.score.rmse,
      rmsePointsStandardError: accuracy.standardErrors.rmse,
      heldOut: accuracy.score.n,
      points: [...accuracy.points],
    },
    latency: [
      {
        device,
        mape: latency.errors.mape,
        within5Percent: latency.errors.within5Percent,
        within10Percent: latency.errors.within10Percent,
        kendallTau: latency.errors.kendallTau,
        heldOut: latency.errors.count,
        points: [...latency.networks],
        histogramMs: table.wholeSubnets.map(({ latencyMs }) => latencyMs),
      },
    ],
    subnets: measured.map(({ architecture, latencyMs, top1 }) => ({
      architecture: toFile(architecture),
      device,
      latencyMs,
      top1,
      kind: 'measured',
    })),
    front: front.map(({ architecture, accuracy: top1, latencyMs }) => ({
      device,
      latencyMs: latencyMs!,
      top1: Math.min(1, Math.max(0, top1)),
      architecture: toFile(architecture),
    })),
    models: models.map(({ onnx, verification: _verification, ...model }) => ({
      ...model,
      file: basename(onnx),
    })),
  };
}

/** Architectures of the table's check subnets, which no latency predictor was fitted on. */
export function checkSubnets({
  table,
}: QuickstartResults['query']): { architecture: Architecture; latencyMs: number }[] {
  return tableExamples(table, 'check');
}
