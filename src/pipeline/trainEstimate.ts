/** What a training that is open will take: time, disk and memory. */
import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { CHECKPOINT_FILE, readCheckpointHead } from '../supernet/checkpoint.js';
import { estimateTraining, type TrainingEstimate } from '../training/estimate.js';
import { DEFAULT_EVALUATION, type EvaluationSettings } from '../training/evaluator.js';
import { positionOf } from '../training/state.js';
import { layOut, type TrainingOptions } from '../training/trainer.js';
import { formatDuration } from '../util/duration.js';
import { formatBytes } from '../util/memory.js';

export interface TrainEstimate extends TrainingEstimate {
  /** Where the run will be; undefined where the system does not say. */
  readonly freeDiskBytes: number | undefined;
  /** Without compiled programs, bytes. */
  readonly memoryBytes: number;
}

export interface TrainEstimateOptions extends Omit<TrainingOptions, 'validate' | 'observer' | 'logger'> {
  readonly evaluation: Partial<EvaluationSettings>;
  readonly memoryBytes: number;
  /** As in `EstimateOptions`. */
  readonly budgetSeconds: number;
}

/** Below so many steps nothing is timed ahead of a training: it is over before that would tell anything. */
export const FEWEST_STEPS_TO_TIME = 200;

/** Writes nothing. Throws UserError where the folder holds another run, or one that cannot be gone on with. */
export async function estimateOpened(
  options: TrainEstimateOptions,
  fewestSteps: number,
): Promise<TrainEstimate> {
  const { folder, space, loader, evaluation, memoryBytes } = options;
  const { plans, settings } = layOut(options);
  const identity = { folder, space, data: loader.dataset.source, settings };
  const stepsDone = existsSync(join(folder, CHECKPOINT_FILE))
    ? positionOf(identity, await readCheckpointHead(folder)).step
    : 0;
  const { calibrationImages, limit = Infinity } = { ...DEFAULT_EVALUATION, ...evaluation };
  const estimate = await estimateTraining({
    ...options,
    plans,
    stepsDone,
    validationImages:
      Math.min(limit, loader.dataset.splitSize('validation')) +
      Math.min(calibrationImages, loader.dataset.splitSize('train')),
    budgetSeconds: settings.totalSteps - stepsDone < fewestSteps ? 0 : options.budgetSeconds,
  });
  return { ...estimate, freeDiskBytes: await freeBytes(folder), memoryBytes };
}

async function freeBytes(folder: string): Promise<number | undefined> {
  let at = resolve(folder);
  while (!existsSync(at) && dirname(at) !== at) at = dirname(at);
  try {
    const { bavail, bsize } = await statfs(at);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}

/** In one line: `6 phases, 12000 steps: about 3 h 12 min; 46 MB on disk (92 MB while it is saved)`. */
export function estimateLine({
  phases,
  steps,
  stepsDone,
  secondsLeft,
  diskBytes,
  peakDiskBytes,
}: TrainEstimate): string {
  const count = `${phases.length} phase${phases.length === 1 ? '' : 's'}, ${steps} steps`;
  const done = stepsDone === 0 ? '' : `, ${stepsDone} of them done`;
  const time = secondsLeft === undefined ? '' : `: about ${formatDuration(secondsLeft)} left in all`;
  return `${count}${done}${time}; ${formatBytes(diskBytes)} on disk (${formatBytes(peakDiskBytes)} while it is saved)`;
}

/** Undefined where there is room. */
export function diskWarning(
  { diskBytes, peakDiskBytes, freeDiskBytes, stepsDone }: TrainEstimate,
  folder: string,
): string | undefined {
  // What a run that is there needs more than it has.
  const needed = stepsDone > 0 ? peakDiskBytes - diskBytes : peakDiskBytes;
  if (freeDiskBytes === undefined || freeDiskBytes >= needed) return undefined;
  return `The run in ${folder} needs ${formatBytes(needed)} of disk while it is saved: ${formatBytes(freeDiskBytes)} are free`;
}
