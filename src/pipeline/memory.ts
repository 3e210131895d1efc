/** Training within a limit of memory: planned before it starts, watched while it runs. */
import { totalmem } from 'node:os';
import type { Dataset } from '../data/dataset.js';
import { DEFAULT_CACHE_BYTES } from '../data/loader.js';
import type { ProgramCache } from '../engine/programCache.js';
import type { SearchSpace } from '../space/space.js';
import { DEFAULT_EVALUATION, type EvaluationSettings } from '../training/evaluator.js';
import { leastMemoryPlan, planMemory, type MemoryPlan } from '../training/memory.js';
import type { Schedule } from '../training/schedule.js';
import type { Logger } from '../util/logger.js';
import { formatBytes } from '../util/memory.js';

/** Part of the machine's memory that training may take unless told otherwise. */
const DEFAULT_SHARE = 0.8;
/** Longer side of a photo, its shorter one being 1: most have no more. */
const PHOTO_SHAPE = 1.5;
/** Part of the limit that decoded images may take. */
const IMAGE_SHARE = 1 / 16;

export interface TrainingMemory extends MemoryPlan {
  readonly maxBytes: number;
  /** For decoded image files. */
  readonly imageBytes: number;
}

export interface TrainingMemoryRequest {
  readonly space: SearchSpace;
  readonly schedule: Schedule;
  readonly dataset: Dataset;
  readonly evaluation?: Partial<EvaluationSettings>;
  /** A limit that is refused where training is not estimated to keep it. Default: most of what there is, as well as may be. */
  readonly maxMemory?: number;
  readonly logger: Logger;
}

/** What this process may use: the machine's memory, or its container's. */
export function machineBytes(): number {
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
}

/** Throws UserError where training does not fit into `maxMemory`, saying what it needs. */
export function planTrainingMemory(request: TrainingMemoryRequest): TrainingMemory {
  const { space, schedule, dataset, maxMemory, logger } = request;
  const maxBytes = maxMemory ?? DEFAULT_SHARE * machineBytes();
  const imageBytes = Math.min(DEFAULT_CACHE_BYTES, IMAGE_SHARE * maxBytes);
  const { images } = dataset;
  const evaluation = { ...DEFAULT_EVALUATION, ...request.evaluation };
  const dataBytes =
    images.kind === 'memory'
      ? images.pixels.byteLength
      : Math.min(imageBytes, images.count * images.channels * PHOTO_SHAPE * images.maxShortSide ** 2);
  const validationImages = dataset.splitSize('validation');
  const needs = { space, schedule, evaluation, dataBytes, validationImages };
  const plan = maxMemory === undefined ? leastMemoryPlan(needs, maxBytes) : planMemory(needs, maxBytes);
  if (plan.programBytes <= 0) {
    logger.warn(
      `Training is estimated to need ${formatBytes(plan.needed)} of memory: this machine has ${formatBytes(machineBytes())}`,
    );
  }
  if (!plan.wholeNetworks)
    logger.info(`Computing block by block, to stay within ${formatBytes(maxBytes)} of memory`);
  const { calibrationBatch } = plan.evaluation;
  if (calibrationBatch !== undefined && calibrationBatch < evaluation.calibrationBatch) {
    logger.info(
      `Validation calibrates batch norm on batches of ${calibrationBatch} images instead of ${evaluation.calibrationBatch}, to stay within ${formatBytes(maxBytes)} of memory`,
    );
  }
  return { ...plan, maxBytes, imageBytes };
}

/** Looks at what the process holds; the first time that it is too much, programs are given up and the logger is told. */
export class MemoryGuard {
  private told = false;

  constructor(
    private readonly maxBytes: number,
    private readonly programs: ProgramCache,
    private readonly logger: Logger,
    private readonly heldBytes: () => number = () => process.memoryUsage.rss(),
  ) {}

  check(): void {
    if (this.told) return;
    const held = this.heldBytes();
    if (held <= this.maxBytes) return;
    this.told = true;
    this.programs.limit(this.programs.statistics.bytes / 2);
    this.logger.warn(
      `Training holds ${formatBytes(held)} of memory, above the limit of ${formatBytes(this.maxBytes)}: ` +
        'fewer compiled programs are kept from here on; a smaller batchSize or smaller image sizes take less',
    );
  }
}
