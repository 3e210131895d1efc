/** The page of a specialisation: what was chosen for each device, what that bought, and what predictions were worth. */
import { basename, join } from 'node:path';
import { readAccuracies } from '../accuracy/dataset.js';
import { scoreStandardErrors } from '../accuracy/reliability.js';
import { distinctArchitectures } from '../accuracy/sampling.js';
import type { Loader } from '../data/loader.js';
import { localFingerprint } from '../device/fingerprint.js';
import { loadShippedDevice, runtimeSettings } from '../device/profile.js';
import { evaluateLatency } from '../latency/evaluate.js';
import { knownExamples, tableExamples, type LatencyQuery } from '../latency/query.js';
import type { ReportAccuracy, ReportData, ReportLatency } from '../report/data.js';
import { writeReport } from '../report/index.js';
import { fromFile } from '../space/architecture.js';
import { architectureKey } from '../space/canonical.js';
import { packageVersion } from '../util/scripts.js';
import { kendallTauB } from '../util/statistics.js';
import { describeSpaceForReport, describeThisMachine, trainingCurves } from './reportParts.js';
import { runFiles, type SupernetRun } from './run.js';
import {
  specializationFile,
  type CellFinalist,
  type Specialization,
  type SpecializationFile,
} from './specialization.js';
import type { SpecializeTarget } from './specialize.js';

/** With fewer measured networks a histogram shows nothing; predictions of so many random ones stand in. */
const FEW = 20;
const DRAWN = 300;

export interface SpecializationReport {
  readonly run: SupernetRun;
  readonly loader: Loader;
  readonly targets: readonly SpecializeTarget[];
  readonly result: Specialization;
  /** Where report.html and report.json go. */
  readonly folder: string;
}

/** Writes report.html, and report.json that it can be made again from; returns the path of the page. */
export async function writeSpecializationReport(request: SpecializationReport): Promise<string> {
  const path = join(request.folder, 'report.html');
  await writeReport(path, await reportData(request));
  return path;
}

async function reportData({
  run,
  loader,
  targets,
  result: whole,
}: SpecializationReport): Promise<ReportData> {
  const result = specializationFile(whole);
  const { space, folder } = run;
  const { dataset } = loader;
  const { runtime } = localFingerprint(runtimeSettings(await loadShippedDevice('local-cpu')));
  const names = targets.map(({ device }) => device.name);
  const limits = [...new Set(targets.flatMap(({ maxLatencyMs }) => maxLatencyMs))];
  const accuracy = await judgeAccuracies(run, result);
  return {
    title: `${space.name} for ${names.join(', ')}`,
    generatedBy: {
      version: packageVersion(),
      command: `ofa specialize --supernet ${folder} --device ${names.join(' ')} --max-latency-ms ${limits.join(',')}`,
    },
    machine: describeThisMachine(runtime),
    space: describeSpaceForReport(space),
    classNames: [...dataset.classes],
    dataset: {
      name: dataset.name,
      train: dataset.splitSize('train'),
      validation: dataset.splitSize('validation'),
      test: dataset.splitSize('test'),
    },
    training: await trainingCurves(folder),
    ...(accuracy === undefined ? {} : { accuracy }),
    latency: targets.flatMap((target) => judgeLatencies(target, result)),
    subnets: [...finalistsOf(result)].map(([, { device, architecture, measuredMs, validationTop1 }]) => ({
      architecture,
      device,
      latencyMs: measuredMs,
      top1: validationTop1,
      kind: 'measured',
    })),
    front: [],
    models: result.models.map(({ onnx, maxAbsDifference: _difference, ...model }) => ({
      ...model,
      file: basename(onnx),
    })),
  };
}

/** Each network once a device. */
function finalistsOf({
  models,
}: SpecializationFile): Map<string, CellFinalist & { readonly device: string }> {
  return new Map(
    models.flatMap(({ device, finalists }) =>
      finalists.map((finalist) => [
        `${device} ${JSON.stringify(finalist.architecture)}`,
        { device, ...finalist },
      ]),
    ),
  );
}

/** On the table's own check networks where it has some, else on the networks that were measured now: no table has seen them. */
function judgeLatencies({ device, latency }: SpecializeTarget, result: SpecializationFile): ReportLatency[] {
  const own = [...finalistsOf(result).values()]
    .filter((finalist) => finalist.device === device.name)
    .map(({ predictedMs, measuredMs }) => ({ predictedMs, measuredMs }));
  return judgeTable(device.name, latency, own);
}

/** On the table's own check networks; on `others`, which no table has seen, where it has none. [] where there is neither. */
export function judgeTable(
  device: string,
  latency: LatencyQuery,
  others: ReportLatency['points'] = [],
): ReportLatency[] {
  const checks = knownExamples(latency.table, 'check').map(({ architecture, latencyMs }) => ({
    predictedMs: latency.architecture(architecture).latencyMs,
    measuredMs: latencyMs,
  }));
  const points = checks.length > 0 ? checks : [...others];
  if (points.length === 0) return [];
  const { mape, within5Percent, within10Percent, kendallTau, count } = evaluateLatency(
    points.map(({ predictedMs }) => predictedMs),
    points.map(({ measuredMs }) => measuredMs),
  );
  return [
    {
      device,
      mape,
      within5Percent,
      within10Percent,
      kendallTau,
      heldOut: count,
      points,
      ...spread(latency),
    },
  ];
}

function spread(latency: LatencyQuery): Pick<ReportLatency, 'histogramMs' | 'histogramOf'> {
  const measured = (['fit', 'check'] as const)
    .flatMap((role) => tableExamples(latency.table, role))
    .map(({ latencyMs }) => latencyMs);
  if (measured.length >= FEW) return { histogramMs: measured, histogramOf: 'measured' };
  const histogramMs: number[] = [];
  for (const { architecture } of distinctArchitectures(latency.coverage(latency.space.genes).genes, 0)) {
    if (histogramMs.length === DRAWN) break;
    if (latency.lacks(architecture) > 0) continue;
    histogramMs.push(latency.architecture(architecture).latencyMs);
  }
  return { histogramMs, histogramOf: 'predicted' };
}

/** On finalists that are not among the run's samples; undefined for fewer than two. */
async function judgeAccuracies(
  { folder, space }: SupernetRun,
  result: SpecializationFile,
): Promise<ReportAccuracy | undefined> {
  const keyOf = (arch: Parameters<typeof architectureKey>[1]): string => architectureKey(space.genes, arch);
  const sampled = await readAccuracies(runFiles(folder).accuracies, space);
  const seen = new Set(sampled.map(({ architecture }) => keyOf(architecture)));
  const points = new Map<string, ReportAccuracy['points'][number]>();
  for (const { architecture, predictedTop1, validationTop1 } of finalistsOf(result).values()) {
    const key = keyOf(fromFile(architecture));
    if (!seen.has(key)) points.set(key, { predictedTop1, measuredTop1: validationTop1 });
  }
  const list = [...points.values()];
  if (list.length < 2) return undefined;
  const squares = list.map((point) => (point.predictedTop1 - point.measuredTop1) ** 2);
  const tau = kendallTauB(
    list.map(({ predictedTop1 }) => predictedTop1),
    list.map(({ measuredTop1 }) => measuredTop1),
  );
  const errors = scoreStandardErrors(list);
  return {
    kendallTau: Number.isNaN(tau) ? null : tau,
    kendallTauStandardError: errors.kendallTau,
    rmsePointsStandardError: errors.rmse,
    rmsePoints: 100 * Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / list.length),
    heldOut: list.length,
    points: list,
  };
}
