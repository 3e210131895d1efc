/**
 * Trains supernets: one trainer, any schedule. All chance is derived from the seed and the step, and programs compute
 * the same bits every time, so a run that is killed and resumed ends with the weights of one that never stopped.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Loader, TrainBatchRequest } from '../data/loader.js';
import { toFile, type Architecture } from '../space/architecture.js';
import { sampleArchitecture } from '../space/sampling.js';
import type { SearchSpace } from '../space/space.js';
import { isDecayed, isTrainable } from '../space/parameters.js';
import { sortChannels } from '../supernet/channelSorting.js';
import { CHECKPOINT_FILE, loadCheckpoint, saveCheckpoint, type Json } from '../supernet/checkpoint.js';
import type { SubnetExecutor } from '../supernet/executor.js';
import { decodeSafetensors, encodeSafetensors } from '../supernet/safetensors.js';
import {
  initialiseWeights,
  storedParameters,
  zeroTensors,
  type SupernetWeights,
} from '../supernet/weights.js';
import { InterruptedError, UserError } from '../util/errors.js';
import { appendJsonLine, readBytes, validate, writeAtomic } from '../util/files.js';
import { silentLogger, type Logger } from '../util/logger.js';
import { createRandom } from '../util/random.js';
import { METRICS_FILE, rewindMetrics, type Metric } from './metrics.js';
import { sgdStep } from './optimizer.js';
import { positionSchema, type Position } from './position.js';
import { learningRateAt, planSchedule, type PhasePlan, type Schedule } from './schedule.js';
import type { Score } from './score.js';
import { accumulateStep, drawImageSize, type StepContext } from './step.js';

export interface TrainingOptions {
  readonly space: SearchSpace;
  readonly loader: Loader;
  readonly schedule: Schedule;
  /** Runs subnets; owned by the caller. */
  readonly executor: SubnetExecutor;
  /** Folder of checkpoint and metrics; a run that is there already goes on. */
  readonly folder: string;
  readonly seed: number;
  /** Stretches all phases. Default 1. */
  readonly epochsScale?: number;
  /** Weights to begin with; initialised from the seed unless given. */
  readonly initialWeights?: SupernetWeights;
  /** Scores a subnet of these weights on validation data; without, no validation. */
  readonly validate?: (weights: SupernetWeights) => (arch: Architecture) => Promise<Score>;
  /** Epochs between validations; one more follows the last step of every phase. Default 1. */
  readonly validateEveryEpochs?: number;
  /** Seconds between checkpoints. Default 60. */
  readonly checkpointSeconds?: number;
  readonly logger?: Logger;
  /** Saves and throws InterruptedError when it fires. */
  readonly signal?: AbortSignal;
  /** Milliseconds, for speed and the time of checkpoints; results do not depend on it. */
  readonly clock?: () => number;
}

export interface TrainingResult {
  readonly weights: SupernetWeights;
  readonly weightsSha256: string;
  readonly steps: number;
}

/** Steps between two lines of metrics. */
const METRIC_STEPS = 20;
/** Random subnets of every validation, the same ones throughout a run. */
const VALIDATION_RANDOM = 2;

/**
 * Trains, or goes on with the run in `folder`, or returns at once where that is finished. Throws UserError where the
 * folder holds a run of other settings or the disk refuses, InterruptedError on `signal` after saving.
 */
export async function trainSupernet(options: TrainingOptions): Promise<TrainingResult> {
  const run = await Run.open(options);
  return run.train();
}

class Run {
  private readonly logger: Logger;
  private readonly clock: () => number;
  private readonly gradients: SupernetWeights;
  private readonly decayed: ReadonlySet<string>;
  private readonly metricsPath: string;
  private lastSave: number;

  private constructor(
    private readonly options: TrainingOptions,
    private readonly plans: readonly PhasePlan[],
    private weights: SupernetWeights,
    private velocity: SupernetWeights,
    private teacher: SupernetWeights | undefined,
    private position: Position,
    private sha256: string,
  ) {
    this.logger = options.logger ?? silentLogger;
    this.clock = options.clock ?? (() => performance.now());
    const parameters = storedParameters(options.space).filter(({ role }) => isTrainable(role));
    this.gradients = zeroTensors(parameters);
    this.decayed = new Set(parameters.filter(({ role }) => isDecayed(role)).map(({ name }) => name));
    this.metricsPath = join(options.folder, METRICS_FILE);
    this.lastSave = this.clock();
  }

  static async open(options: TrainingOptions): Promise<Run> {
    const { space, schedule, loader, seed, epochsScale = 1, folder } = options;
    const { stepsPerEpoch } = loader;
    const plans = planSchedule(schedule, stepsPerEpoch, epochsScale);
    const totalSteps = plans.reduce((sum, { steps }) => sum + steps, 0);
    const settings = {
      schedule,
      seed,
      epochsScale,
      batchSize: schedule.batchSize,
      stepsPerEpoch,
      totalSteps,
    };
    if (!existsSync(join(folder, CHECKPOINT_FILE))) {
      const trainable = storedParameters(space).filter(({ role }) => isTrainable(role));
      const position: Position = { format: 'ofakit.training/1', ...settings, step: 0, teacher: null };
      const run = new Run(
        options,
        plans,
        options.initialWeights ?? initialiseWeights(space, seed),
        zeroTensors(trainable),
        undefined,
        position,
        '',
      );
      await run.save();
      await rewindMetrics(run.metricsPath, 0);
      return run;
    }
    const checkpoint = await loadCheckpoint(folder);
    const position = validate(
      checkpoint.position,
      positionSchema,
      `${join(folder, CHECKPOINT_FILE)}, key "position"`,
    );
    requireSameRun(
      folder,
      { ...settings, space: space.file, data: loader.dataset.source },
      { ...position, space: checkpoint.space.file, data: checkpoint.data },
    );
    if (checkpoint.optimizer === undefined)
      throw new UserError(`Cannot resume ${folder}: its optimiser state is missing`);
    const teacher = position.teacher === null ? undefined : await loadTeacher(folder, position.teacher);
    await rewindMetrics(join(folder, METRICS_FILE), position.step);
    return new Run(
      options,
      plans,
      checkpoint.weights,
      checkpoint.optimizer,
      teacher,
      position,
      checkpoint.weightsSha256,
    );
  }

  async train(): Promise<TrainingResult> {
    const { position } = this;
    if (position.step > 0) this.logger.info(`Going on at step ${position.step} of ${position.totalSteps}`);
    for (const plan of this.plans) {
      if (this.position.step >= plan.start + plan.steps) continue;
      if (this.position.step === plan.start) await this.beginPhase(plan);
      await this.trainPhase(plan);
    }
    return { weights: this.weights, weightsSha256: this.sha256, steps: this.position.step };
  }

  /** A phase starts with an optimiser at rest, sorted channels and, where it needs one that is not there yet, a teacher. */
  private async beginPhase({ phase, sortStage }: PhasePlan): Promise<void> {
    const { folder, space } = this.options;
    if (phase.distillation.teacher === 'largest' && this.teacher === undefined) {
      const bytes = encodeSafetensors(this.weights);
      const file = 'teacher.safetensors';
      await writeAtomic(join(folder, file), bytes);
      this.teacher = new Map(
        [...this.weights].map(([name, { shape, data }]) => [name, { shape, data: data.slice() }]),
      );
      this.position = {
        ...this.position,
        teacher: { file, sha256: createHash('sha256').update(bytes).digest('hex') },
      };
    }
    if (sortStage !== undefined) this.weights = sortChannels(space, this.weights, sortStage).weights;
    for (const { data } of this.velocity.values()) data.fill(0);
  }

  private async trainPhase(plan: PhasePlan): Promise<void> {
    const { phase, start, steps } = plan;
    const { loader, schedule, signal, seed, validateEveryEpochs = 1 } = this.options;
    const { momentum, weightDecay, batchSize } = schedule;
    const stepsPerEpoch = loader.stepsPerEpoch;
    const context: StepContext = {
      ...this.options,
      weights: this.weights,
      gradients: this.gradients,
      teacher: this.teacher,
      labelSmoothing: schedule.labelSmoothing,
    };
    const progress = this.logger.progress(`Training: ${phase.name}`, steps);
    const since = { images: 0, loss: 0, steps: 0, time: this.clock() };
    try {
      for await (const batch of loader.trainBatches(this.requests(plan))) {
        const { step } = this.position;
        const loss = await accumulateStep(context, phase, step, batch);
        if (!Number.isFinite(loss)) {
          throw new UserError(
            `Training diverged at step ${step} of phase "${phase.name}": the loss is ${loss}; try a lower learningRate in the schedule`,
          );
        }
        const learningRate = learningRateAt(plan, step - start, batchSize);
        sgdStep(this.weights, this.velocity, this.gradients, this.decayed, {
          learningRate,
          momentum,
          weightDecay,
        });
        const done = step + 1;
        this.position = { ...this.position, step: done };
        since.images += batch.labels.length;
        since.loss += loss;
        since.steps += 1;
        const last = done === start + steps;
        if (done % METRIC_STEPS === 0 || last) {
          const imagesPerSecond = (since.images * 1000) / Math.max(1, this.clock() - since.time);
          const mean = since.loss / since.steps;
          progress.update(done - start, `loss ${mean.toFixed(3)}, ${imagesPerSecond.toFixed(0)} images/s`);
          await this.log({
            kind: 'step',
            phase: phase.name,
            step: done,
            epoch: done / stepsPerEpoch,
            loss: mean,
            learningRate,
            imagesPerSecond,
          });
          Object.assign(since, { images: 0, loss: 0, steps: 0, time: this.clock() });
        }
        const epochEnds = done % Math.max(1, Math.round(validateEveryEpochs * stepsPerEpoch)) === 0;
        if (epochEnds || last) await this.validate(phase.name, seed);
        const due = this.clock() - this.lastSave > 1000 * (this.options.checkpointSeconds ?? 60);
        if (due || last || signal?.aborted === true) await this.save();
        if (signal?.aborted === true && !last)
          throw new InterruptedError(`Stopped at step ${done}; the same command goes on from there`);
      }
    } finally {
      progress.stop();
    }
  }

  /** The batches from here to the end of the phase. */
  private *requests({ phase, start, steps }: PhasePlan): Generator<TrainBatchRequest> {
    const { space, loader, seed } = this.options;
    for (let step = this.position.step; step < start + steps; step++) {
      const epoch = Math.floor(step / loader.stepsPerEpoch);
      yield { epoch, step: step % loader.stepsPerEpoch, imageSize: drawImageSize(space, phase, seed, step) };
    }
  }

  private async validate(phase: string, seed: number): Promise<void> {
    const { space, validate: score, loader } = this.options;
    if (score === undefined) return;
    const evaluate = score(this.weights);
    const subnets: [string, Architecture][] = [
      ['largest', space.largest],
      ['smallest', space.smallest],
    ];
    for (let i = 0; i < VALIDATION_RANDOM; i++) {
      subnets.push([`random ${i}`, sampleArchitecture(space.genes, createRandom(seed, 'validation', i))]);
    }
    const { step } = this.position;
    const results: string[] = [];
    for (const [subnet, arch] of subnets) {
      const { top1, top5, loss, count } = await evaluate(arch);
      results.push(`${subnet} ${(100 * top1).toFixed(1)} %`);
      const epoch = step / loader.stepsPerEpoch;
      await this.log({
        kind: 'validation',
        phase,
        step,
        epoch,
        subnet,
        architecture: toFile(arch),
        top1,
        top5,
        loss,
        images: count,
      });
    }
    this.logger.info(`Validation after "${phase}", step ${step}: ${results.join(', ')}`);
  }

  private async log(metric: Metric): Promise<void> {
    await appendJsonLine(this.metricsPath, metric);
  }

  private async save(): Promise<void> {
    const { folder, space, loader } = this.options;
    this.sha256 = await saveCheckpoint(folder, {
      space,
      weights: this.weights,
      optimizer: this.velocity,
      data: loader.dataset.source as unknown as Json,
      position: this.position,
    });
    this.lastSave = this.clock();
  }
}

async function loadTeacher(
  folder: string,
  { file, sha256 }: { file: string; sha256: string },
): Promise<SupernetWeights> {
  const path = join(folder, file);
  const bytes = await readBytes(path);
  if (createHash('sha256').update(bytes).digest('hex') !== sha256) {
    throw new UserError(`Cannot resume ${folder}: ${file} is not the teacher that the run began with`);
  }
  return decodeSafetensors(bytes, path).tensors;
}

/** Throws UserError naming the first setting in which a run differs from the command that would go on with it. */
function requireSameRun(
  folder: string,
  wanted: Readonly<Record<string, unknown>>,
  found: Readonly<Record<string, unknown>>,
): void {
  for (const [key, value] of Object.entries(wanted)) {
    if (JSON.stringify(value) === JSON.stringify(found[key])) continue;
    throw new UserError(
      `Cannot go on with the run in ${folder}: it was started with another ${key}; give the same options, or another --out`,
    );
  }
}
