/** Parts of a report that are the same for a quickstart and for a run. */
import { arch, availableParallelism, cpus, platform, release } from 'node:os';
import { join } from 'node:path';
import { blockPositions, type ReportData, type ReportTraining } from '../report/data.js';
import { countNetworks } from '../space/enumerate.js';
import type { SearchSpace } from '../space/space.js';
import { METRICS_FILE, readMetrics, type Metric } from '../training/metrics.js';

/** `runtime` as in `onnxruntime-node 1.30.0`. */
export function describeThisMachine(runtime: string): ReportData['machine'] {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    os: `${platform()} ${release()} ${arch()}`,
    node: process.version,
    runtime,
  };
}

export function describeSpaceForReport(space: SearchSpace): ReportData['space'] {
  return {
    name: space.name,
    subnets: `${countNetworks(space.genes)}`,
    imageSizes: space.parameters.imageSizes,
    classes: space.parameters.classes,
    blocks: blockPositions(space.genes),
  };
}

/** A phase begins where the one before it ended, whose last step is always reported; its own first line comes later. */
function phasesOf(metrics: readonly Metric[]): ReportTraining['phases'] {
  const phases: { name: string; startStep: number }[] = [];
  let last = 0;
  for (const { phase, step } of metrics) {
    if (phases.at(-1)?.name !== phase) phases.push({ name: phase, startStep: last });
    last = step;
  }
  return phases;
}

/** Phases, loss and validations from a run's metrics.jsonl. */
export async function trainingCurves(folder: string): Promise<ReportTraining> {
  const metrics = await readMetrics(join(folder, METRICS_FILE));
  return {
    phases: phasesOf(metrics),
    loss: metrics.filter((m) => m.kind === 'step').map(({ step, loss }) => ({ step, loss })),
    validation: metrics
      .filter((m) => m.kind === 'validation')
      .map(({ step, subnet, top1 }) => ({ step, subnet, top1 })),
  };
}
