/** What a training would take, as `ofa train --dry-run` tells it. */
import type { TrainEstimate } from '../pipeline/trainEstimate.js';
import { formatDuration } from '../util/duration.js';
import { formatBytes } from '../util/memory.js';
import { formatRows } from './console.js';

/** Absent figures are null: JSON has no undefined. */
export function estimateDocument(run: string, estimate: TrainEstimate): object {
  const { phases, secondsLeft, freeDiskBytes, ...rest } = estimate;
  return {
    run,
    dryRun: true,
    phases: phases.map(({ name, steps, stepSeconds, seconds }) => ({
      name,
      steps,
      stepSeconds: stepSeconds ?? null,
      seconds: seconds ?? null,
    })),
    ...rest,
    secondsLeft: secondsLeft ?? null,
    freeDiskBytes: freeDiskBytes ?? null,
  };
}

export function formatEstimate(run: string, estimate: TrainEstimate): string {
  const { phases, steps, stepsDone, secondsLeft, diskBytes, peakDiskBytes, freeDiskBytes, memoryBytes } =
    estimate;
  const time = (seconds: number | undefined): string =>
    seconds === undefined ? '-' : formatDuration(seconds);
  const rows = phases.map(({ name, steps: count, stepSeconds, seconds }, i) => [
    i + 1,
    name,
    count,
    stepSeconds === undefined ? '-' : stepSeconds.toFixed(3),
    time(seconds),
  ]);
  const free = freeDiskBytes === undefined ? '' : `, ${formatBytes(freeDiskBytes)} free`;
  const done = stepsDone === 0 ? '' : `, ${stepsDone} of them done`;
  return (
    formatRows(['phase', 'name', 'steps', 's a step', 'time'], rows) +
    `${steps} steps${done}: about ${time(secondsLeft)} left in all, with validation\n` +
    `Disk ${formatBytes(diskBytes)} (${formatBytes(peakDiskBytes)} while it is saved${free})\n` +
    `Memory ${formatBytes(memoryBytes)} and compiled programs\n` +
    `Nothing was written; without --dry-run it is trained in ${run}\n`
  );
}
