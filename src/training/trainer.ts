/**
 * Trains supernets: one trainer, any schedule. All chance is derived from the seed and the step, and programs compute
 * the same bits every time, so a run that is killed and resumed ends with the weights of one that never stopped.
 */
import { join } from 'node:path';
import type { Batch } from '../data/batchSource.js';
import type { Loader, TrainBatchRequest } from '../data/loader.js';
import { readDataRecord, recordDataset } from '../data/record.js';
import type { Architecture } from '../space/architecture.js';
import { isDecayed } from '../space/parameters.js';
import type { SearchSpace } from '../space/space.js';
import { sortChannels } from '../supernet/channelSorting.js';
import type { SubnetExecutor } from '../supernet/executor.js';
import type { SupernetWeights } from '../supernet/weights.js';
import { formatDuration } from '../util/duration.js';
import { InterruptedError } from '../util/errors.js';
import { appendJsonLine } from '../util/files.js';
import { silentLogger, type Logger, type Progress } from '../util/logger.js';
import { idleStopwatch } from '../util/stopwatch.js';
import { secondsLeftOf, type PhaseEstimate } from './estimate.js';
import { METRICS_FILE, rewindMetrics, type Metric } from './metrics.js';
import { Sgd } from './optimizer.js';
import type { StepObserver } from './profile.js';
import { phaseChoices } from './phaseChoices.js';
import type { RunSettings } from './position.js';
import { learningRateAt, planSchedule, type PhasePlan, type Schedule } from './schedule.js';
import type { Score } from './score.js';
import {
  divergence,
  lossDivergence,
  keepTeacher,
  openState,
  saveState,
  tensorsSha256,
  trainableParameters,
  type RunIdentity,
  type TrainingState,
} from './state.js';
import { accumulateStep, drawImageSize, type StepContext } from './step.js';
import { validationInterval, validationMetrics, validationSubnets } from './validation.js';

export interface TrainingOptions {
  readonly space: SearchSpace;
  /** Makes batches of the schedule's size. */
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
  /** What a run remembers of where `initialWeights` came from: of their file. Default: of themselves. */
  readonly initialWeightsSha256?: string;
  /**
   * Scores a subnet of these weights, as they are when it is asked, on validation data; without, no validation. Called
   * again when a phase replaces the weights.
   */
  readonly validate?: (weights: SupernetWeights) => (arch: Architecture) => Promise<Score>;
  /** Epochs between validations; one more follows the last step of every phase. Default 1, but at least 50 steps. */
  readonly validateEveryEpochs?: number;
  /** Seconds between checkpoints. Default 60. */
  readonly checkpointSeconds?: number;
  readonly logger?: Logger;
  /** False: no program holds a whole network, for want of memory (`planMemory`). Default true. */
  readonly wholeNetworks?: boolean;
  /** Ends the call after this many steps, saved; the next call goes on. Default: when training is done. */
  readonly maxSteps?: number;
  /** Of the schedule's phases, as they were estimated, for the time that is left. */
  readonly estimate?: readonly PhaseEstimate[];
  /** Told where steps begin and end, and what their time goes to. */
  readonly observer?: StepObserver;
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

const nobody: StepObserver = {
  stopwatch: idleStopwatch,
  beginStep: () => undefined,
  endStep: () => undefined,
};

/** Steps between two lines of metrics. */
const METRIC_STEPS = 20;

/**
 * Trains, or goes on with the run in `folder`, or returns at once where that is finished. Throws UserError where the
 * folder holds a run of other settings, the disk refuses or training diverges, InterruptedError on `signal` after saving.
 */
export async function trainSupernet(options: TrainingOptions): Promise<TrainingResult> {
  const { space, loader, folder, initialWeights } = options;
  const { plans, settings } = layOut(options);
  const known = await readDataRecord(folder);
  const record = await recordDataset(loader.dataset, loader.normalisation, known);
  const identity = { folder, space, data: loader.dataset.source, record, settings };
  const state = await openState(identity, initialWeights);
  await rewindMetrics(join(folder, METRICS_FILE), state.position.step);
  await new Trainer(options, identity, state).train(plans);
  const { weights, weightsSha256, position } = state;
  return { weights, weightsSha256, steps: position.step };
}

/** The steps of a run, and what it is known again by. */
export function layOut({
  schedule,
  loader,
  seed,
  epochsScale = 1,
  initialWeights,
  initialWeightsSha256,
}: Pick<
  TrainingOptions,
  'schedule' | 'loader' | 'seed' | 'epochsScale' | 'initialWeights' | 'initialWeightsSha256'
>): { readonly plans: readonly PhasePlan[]; readonly settings: RunSettings } {
  const { stepsPerEpoch } = loader;
  const plans = planSchedule(schedule, stepsPerEpoch, epochsScale);
  const totalSteps = plans.reduce((sum, { steps }) => sum + steps, 0);
  const { batchSize } = schedule;
  const init = initialWeights === undefined ? null : (initialWeightsSha256 ?? tensorsSha256(initialWeights));
  return {
    plans,
    settings: { schedule, seed, epochsScale, batchSize, stepsPerEpoch, totalSteps, init },
  };
}

class Trainer {
  private readonly logger: Logger;
  private readonly clock: () => number;
  private readonly decayed: ReadonlySet<string>;
  private readonly observer: StepObserver;
  private lastSave: number;
  /** Of this call. */
  private stepsLeft: number;
  /** Kept while the weights are the same maps, as it may hold batches. */
  private scorer: { weights: SupernetWeights; evaluate: (arch: Architecture) => Promise<Score> } | undefined;
  /** For the speed in metrics. */
  private window: { images: number; start: number };
  /** Where this call began with the phase it is in. */
  private entered = { step: 0, start: 0 };

  constructor(
    private readonly options: TrainingOptions,
    private readonly identity: RunIdentity,
    private readonly state: TrainingState,
  ) {
    this.logger = options.logger ?? silentLogger;
    this.clock = options.clock ?? (() => performance.now());
    this.observer = options.observer ?? nobody;
    this.stepsLeft = options.maxSteps ?? Infinity;
    const parameters = trainableParameters(options.space);
    this.decayed = new Set(parameters.filter(({ role }) => isDecayed(role)).map(({ name }) => name));
    this.lastSave = this.clock();
    this.window = { images: 0, start: this.clock() };
  }

  async train(plans: readonly PhasePlan[]): Promise<void> {
    const { step, totalSteps } = this.state.position;
    if (step > 0) this.logger.info(`Going on at step ${step} of ${totalSteps}`);
    for (const [index, plan] of plans.entries()) {
      if (this.stepsLeft <= 0) return;
      if (this.state.position.step >= plan.start + plan.steps) continue;
      this.throwIfStopped();
      if (this.state.position.step === plan.start) await this.beginPhase(plan);
      await this.trainPhase(plans, index);
    }
  }

  /**
   * A phase starts with an optimiser at rest, sorted channels and, where it needs one that is not there yet, a teacher.
   * No checkpoint is written before its first step is done, so a run that resumes at its start begins it again.
   */
  private async beginPhase({ phase, sortStage }: PhasePlan): Promise<void> {
    const { state } = this;
    const { folder, space } = this.options;
    if (phase.distillation.teacher === 'largest' && state.teacher === undefined) {
      await keepTeacher(folder, state);
    }
    if (sortStage !== undefined) state.weights = sortChannels(space, state.weights, sortStage).weights;
    for (const { data } of state.velocity.values()) data.fill(0);
  }

  private async trainPhase(plans: readonly PhasePlan[], index: number): Promise<void> {
    const plan = plans[index]!;
    const { phase, start, steps } = plan;
    const { schedule } = this.options;
    const optimizer = new Sgd(this.state.weights, this.state.velocity, this.decayed);
    const { weights } = optimizer;
    this.state.weights = weights;
    this.state.velocity = optimizer.velocity;
    const context: StepContext = {
      ...this.options,
      weights,
      gradients: optimizer,
      teacher: this.state.teacher,
      labelSmoothing: schedule.labelSmoothing,
      // They hold a whole network's activations.
      ...(this.options.wholeNetworks === false
        ? {}
        : {
            choices: phaseChoices(
              this.options.space,
              plan,
              schedule.batchSize,
              this.options.executor.programBytes,
            ),
          }),
    };
    const label = `Training: ${phase.name}, phase ${index + 1} of ${plans.length}`;
    const progress = this.logger.progress(label, steps);
    progress.update(this.state.position.step - start);
    this.entered = { step: this.state.position.step, start: this.clock() };
    this.window = { images: 0, start: this.clock() };
    try {
      for await (const batch of this.batches(plan)) {
        const { step } = this.state.position;
        if (batch.labels.length !== schedule.batchSize) {
          throw new RangeError(
            `Cannot train: the loader must make batches of ${schedule.batchSize} images: it made one of ${batch.labels.length}`,
          );
        }
        const loss = await accumulateStep(context, phase, step, batch);
        if (!Number.isFinite(loss)) throw lossDivergence(step, loss, batch);
        this.update(optimizer, plan, loss, batch.labels.length);
        this.observer.endStep(phase.name);
        await this.afterStep(plans, index, progress);
        if (this.stepsLeft <= 0) break;
      }
    } finally {
      progress.stop();
    }
  }

  /** The batches of the rest of the phase; the wait for each is part of its step. */
  private async *batches(plan: PhasePlan): AsyncGenerator<Batch, void> {
    const batches = this.options.loader.trainBatches(this.requests(plan));
    try {
      for (let { step } = this.state.position; step < plan.start + plan.steps; step++) {
        this.observer.beginStep();
        const arrived = this.observer.stopwatch.begin('data');
        const next = await batches.next();
        arrived();
        if (next.done === true) return;
        yield next.value;
      }
    } finally {
      await batches.return();
    }
  }

  private update(optimizer: Sgd, plan: PhasePlan, loss: number, images: number): void {
    const updated = this.observer.stopwatch.begin('update');
    const { momentum, weightDecay, batchSize } = this.options.schedule;
    const { position } = this.state;
    const learningRate = learningRateAt(plan, position.step - plan.start, batchSize);
    optimizer.step({ learningRate, momentum, weightDecay });
    updated();
    const { unreported } = position;
    this.stepsLeft--;
    this.window.images += images;
    this.state.position = {
      ...position,
      step: position.step + 1,
      unreported: { steps: unreported.steps + 1, loss: unreported.loss + loss },
    };
  }

  /** Metrics, validation, checkpoint: in this order, as metrics beyond a checkpoint are dropped on resuming. */
  private async afterStep(plans: readonly PhasePlan[], index: number, progress: Progress): Promise<void> {
    const plan = plans[index]!;
    const { loader, validateEveryEpochs, checkpointSeconds = 60, signal } = this.options;
    const done = this.state.position.step;
    const last = done === plan.start + plan.steps;
    if (done % METRIC_STEPS === 0 || last) await this.report(plans, index, progress);
    const validationSteps = validationInterval(loader.stepsPerEpoch, validateEveryEpochs);
    if (done % validationSteps === 0 || last) await this.validate(plan.phase.name);
    const due = this.clock() - this.lastSave > 1000 * checkpointSeconds;
    if (due || last || this.stepsLeft <= 0 || signal?.aborted === true) {
      await saveState(this.identity, this.state);
      this.lastSave = this.clock();
    }
    this.throwIfStopped();
  }

  private async report(plans: readonly PhasePlan[], index: number, progress: Progress): Promise<void> {
    const plan = plans[index]!;
    const { step, unreported } = this.state.position;
    const { loader, schedule } = this.options;
    const loss = unreported.loss / unreported.steps;
    const seconds = Math.max(1, this.clock() - this.window.start) / 1000;
    const imagesPerSecond = this.window.images / seconds;
    const learningRate = learningRateAt(plan, step - 1 - plan.start, schedule.batchSize);
    const stepSeconds = (this.clock() - this.entered.start) / 1000 / (step - this.entered.step);
    const stepsLeft = plan.start + plan.steps - step;
    const secondsLeft = secondsLeftOf(plans, index, stepsLeft, stepSeconds, this.options.estimate);
    const whole = plans.length === 1 ? '' : `, all phases: ${formatDuration(secondsLeft)} left`;
    progress.update(
      step - plan.start,
      `loss ${loss.toFixed(3)}, ${imagesPerSecond.toFixed(0)} images/s${whole}`,
    );
    await this.log({
      kind: 'step',
      phase: plan.phase.name,
      step,
      epoch: step / loader.stepsPerEpoch,
      loss,
      learningRate,
      imagesPerSecond,
    });
    this.state.position = { ...this.state.position, unreported: { steps: 0, loss: 0 } };
    this.window = { images: 0, start: this.clock() };
  }

  private async validate(phase: string): Promise<void> {
    const { space, seed, validate, loader } = this.options;
    if (validate === undefined) return;
    const { step } = this.state.position;
    const at = { phase, step, epoch: step / loader.stepsPerEpoch };
    const { weights } = this.state;
    if (this.scorer?.weights !== weights) this.scorer = { weights, evaluate: validate(weights) };
    const metrics = await validationMetrics(validationSubnets(space, seed), this.scorer.evaluate, at);
    for (const metric of metrics) {
      if (!Number.isFinite(metric.loss)) throw divergence(step, `the validation loss is ${metric.loss}`);
      await this.log(metric);
    }
    const results = metrics.map(({ subnet, top1 }) => `${subnet} ${(100 * top1).toFixed(1)} %`);
    this.logger.info(`Validation after "${phase}", step ${step}: ${results.join(', ')}`);
    // Validation is not training speed.
    this.window = { images: 0, start: this.clock() };
  }

  /** The batches from here to the end of the phase. */
  private *requests({ phase, start, steps }: PhasePlan): Generator<TrainBatchRequest> {
    const { space, loader, seed } = this.options;
    for (let step = this.state.position.step; step < start + steps; step++) {
      const epoch = Math.floor(step / loader.stepsPerEpoch);
      yield { epoch, step: step % loader.stepsPerEpoch, imageSize: drawImageSize(space, phase, seed, step) };
    }
  }

  /** A finished run is not stopped. */
  private throwIfStopped(): void {
    const { step, totalSteps } = this.state.position;
    if (this.options.signal?.aborted !== true || step === totalSteps) return;
    throw new InterruptedError(`Stopped at step ${step}; the same command goes on from there`);
  }

  private async log(metric: Metric): Promise<void> {
    await appendJsonLine(join(this.options.folder, METRICS_FILE), metric);
  }
}
