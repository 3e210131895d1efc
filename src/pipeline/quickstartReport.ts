/** The report of a quickstart, from what its stages handed on. */
import { arch as cpuArchitecture, availableParallelism, cpus, platform, release } from 'node:os';
import { basename, join } from 'node:path';
import { blockPositions, type ReportData } from '../report/data.js';
import { writeReport } from '../report/index.js';
import { fromFile, toFile, type Architecture } from '../space/architecture.js';
import { countNetworks } from '../space/enumerate.js';
import { METRICS_FILE, readMetrics } from '../training/metrics.js';
import { packageVersion } from '../util/scripts.js';
import type { QuickstartResults } from './quickstartSettings.js';

/** Writes report.html, and report.json that it can be made again from. */
export async function writeQuickstartReport(results: QuickstartResults): Promise<void> {
  await writeReport(join(results.folder, 'report.html'), await reportData(results));
}

async function reportData(results: QuickstartResults): Promise<ReportData> {
  const { settings, run, splits, accuracy, latency, query, measured, front, models } = results;
  const { space } = run;
  const device = latency.device;
  const metrics = await readMetrics(join(run.folder, METRICS_FILE));
  const { runtime } = query.table.device.fingerprint;
  const phases = new Map<string, number>();
  for (const { phase, step } of metrics) if (!phases.has(phase)) phases.set(phase, step);
  return {
    title: `${space.name} on ${device}`,
    generatedBy: { version: packageVersion(), command: `ofa quickstart --seed ${settings.seed}` },
    machine: {
      cpu: cpus()[0]?.model.trim() ?? 'unknown',
      cores: availableParallelism(),
      os: `${platform()} ${release()} ${cpuArchitecture()}`,
      node: process.version,
      runtime,
    },
    space: {
      name: space.name,
      subnets: `${countNetworks(space.genes)}`,
      imageSizes: space.parameters.imageSizes,
      classes: space.parameters.classes,
      blocks: blockPositions(space.genes),
    },
    dataset: { name: settings.data, ...splits },
    training: {
      phases: [...phases].map(([name, startStep]) => ({ name, startStep })),
      loss: metrics.filter((m) => m.kind === 'step').map(({ step, loss }) => ({ step, loss })),
      validation: metrics
        .filter((m) => m.kind === 'validation')
        .map(({ step, subnet, top1 }) => ({ step, subnet, top1 })),
    },
    accuracy: {
      kendallTau: accuracy.score.kendallTau,
      rmsePoints: accuracy.score.rmse,
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
        histogramMs: query.table.wholeSubnets.map(({ latencyMs }) => latencyMs),
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
    models: models.map(({ onnx, validationTop1: _validation, verification: _verification, ...model }) => ({
      ...model,
      file: basename(onnx),
    })),
  };
}

/** Architectures of the table's check subnets, which no latency predictor was fitted on. */
export function checkSubnets({
  table,
}: QuickstartResults['query']): { architecture: Architecture; latencyMs: number }[] {
  return table.wholeSubnets
    .filter(({ role }) => role === 'check')
    .map(({ architecture, latencyMs }) => ({ architecture: fromFile(architecture), latencyMs }));
}
