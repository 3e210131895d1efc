/** What a training will take, before it is begun: a few steps of each kind of phase are computed on copies and timed. */
import type { Loader, TrainBatchRequest } from '../data/loader.js';
import { networkCosts } from '../space/costs.js';
import { isDecayed } from '../space/parameters.js';
import type { SearchSpace } from '../space/space.js';
import type { SubnetExecutor } from '../supernet/executor.js';
import {
  initialiseWeights,
  storedParameters,
  zeroTensors,
  type SupernetWeights,
} from '../supernet/weights.js';
import { sizeOf } from '../util/tensor.js';
import { Sgd } from './optimizer.js';
import { phaseChoices } from './phaseChoices.js';
import type { Phase, PhasePlan, Schedule } from './schedule.js';
import { copyTensors, trainableParameters } from './state.js';
import { accumulateStep, drawImageSize, drawSubnets, type StepContext } from './step.js';
import { validationInterval, validationSubnets } from './validation.js';

export interface PhaseEstimate {
  readonly name: string;
  readonly steps: number;
  /** Seconds of a step; undefined where none was timed. */
  readonly stepSeconds: number | undefined;
  /** Of all its steps, and of validation in between; undefined where no step was timed. */
  readonly seconds: number | undefined;
}

export interface TrainingEstimate {
  readonly phases: readonly PhaseEstimate[];
  /** Of the whole run. */
  readonly steps: number;
  /** Steps that were there already. */
  readonly stepsDone: number;
  /** What is left to do takes so long; undefined where no step was timed. */
  readonly secondsLeft: number | undefined;
  /** The run's tensor files at the end, bytes. */
  readonly diskBytes: number;
  /** While a checkpoint is replaced by the next, bytes. */
  readonly peakDiskBytes: number;
}

/** What is not described here is as in `TrainingOptions`. */
export interface EstimateOptions {
  readonly space: SearchSpace;
  readonly loader: Loader;
  readonly schedule: Schedule;
  readonly executor: SubnetExecutor;
  readonly seed: number;
  readonly initialWeights?: SupernetWeights;
  readonly wholeNetworks?: boolean;
  readonly plans: readonly PhasePlan[];
  /** Steps that are done already. */
  readonly stepsDone: number;
  readonly validateEveryEpochs?: number;
  /** Images that a subnet is recalibrated on, and then judged on, in a validation. */
  readonly validationImages: number;
  /** No further kind of phase is timed when so much time has gone; 0: none at all. The first is always timed to its end. */
  readonly budgetSeconds: number;
  readonly signal?: AbortSignal;
  /** Milliseconds. */
  readonly clock?: () => number;
}

/** Steps that are timed; as many, the same ones, go before, in which programs are compiled. */
const TIMED_STEPS = 3;
/** Steps whose subnets are drawn to compare how much phases compute. */
const DRAWN_STEPS = 8;
/** A step computes forwards and backwards: three times the multiply-accumulates. */
const STEP_WORK = 3;

/** Changes nothing: neither the weights that are given nor a file. Throws as steps do, and the signal's reason. */
export async function estimateTraining(options: EstimateOptions): Promise<TrainingEstimate> {
  const { plans, stepsDone, space } = options;
  const work = plans.map(({ phase, start }) => workOf(options, phase, start));
  const timed = await timeSteps(options);
  const known = plans.flatMap((plan, i) => {
    const seconds = timed.get(kindOf(plan.phase));
    return seconds === undefined ? [] : [seconds / work[i]!];
  });
  const secondsOfWork =
    known.length === 0 ? undefined : known.reduce((sum, value) => sum + value, 0) / known.length;
  const validation =
    secondsOfWork === undefined
      ? undefined
      : secondsOfWork * validationWork(options, options.validationImages);
  let secondsLeft: number | undefined = secondsOfWork === undefined ? undefined : 0;
  const phases = plans.map((plan, i): PhaseEstimate => {
    const { phase, steps, start } = plan;
    const stepSeconds =
      timed.get(kindOf(phase)) ?? (secondsOfWork === undefined ? undefined : secondsOfWork * work[i]!);
    const secondsFrom = (first: number): number | undefined =>
      stepSeconds === undefined || validation === undefined
        ? undefined
        : stepSeconds * (start + steps - first) + validation * validationsFrom(options, plan, first);
    const first = Math.min(start + steps, Math.max(start, stepsDone));
    const left = secondsFrom(first);
    if (secondsLeft !== undefined && left !== undefined) secondsLeft += left;
    return { name: phase.name, steps, stepSeconds, seconds: secondsFrom(start) };
  });
  const steps = plans.reduce((sum, plan) => sum + plan.steps, 0);
  return {
    phases,
    steps,
    stepsDone,
    secondsLeft: stepsDone >= steps ? 0 : secondsLeft,
    ...diskOf(space, plans),
  };
}

/** Phases of one kind have steps of one length. */
const kindOf = ({ subnets, choices, distillation }: Phase): string =>
  JSON.stringify([subnets, choices, distillation.teacher]);

/** Multiply-accumulates of a step for an image, on the mean. */
function workOf({ space, seed }: EstimateOptions, phase: Phase, start: number): number {
  let sum = 0;
  for (let step = start; step < start + DRAWN_STEPS; step++) {
    const imageSize = drawImageSize(space, phase, seed, step);
    for (const arch of drawSubnets(space, phase, seed, step, imageSize))
      sum += STEP_WORK * networkCosts(space.network(arch)).macs;
    if (phase.distillation.teacher === 'largest')
      sum += networkCosts(space.network({ ...space.largest, imageSize })).macs;
  }
  return sum / DRAWN_STEPS;
}

/** In steps' work: a step is as many images as a batch has. */
function validationWork({ space, seed, schedule }: EstimateOptions, images: number): number {
  const macs = validationSubnets(space, seed).map(([, arch]) => networkCosts(space.network(arch)).macs);
  return (macs.reduce((sum, value) => sum + value, 0) * images) / schedule.batchSize;
}

/** Validations after step `first` of the run, in this phase: as many as the trainer makes. */
function validationsFrom(
  { loader, validateEveryEpochs }: EstimateOptions,
  { start, steps }: PhasePlan,
  first: number,
): number {
  const every = validationInterval(loader.stepsPerEpoch, validateEveryEpochs);
  const end = start + steps;
  if (first >= end) return 0;
  return Math.floor(end / every) - Math.floor(first / every) + (end % every === 0 ? 0 : 1);
}

/** Seconds of a step by kind of phase, of those that are not over. */
async function timeSteps(options: EstimateOptions): Promise<Map<string, number>> {
  const { plans, stepsDone, budgetSeconds, clock = () => performance.now() } = options;
  const timed = new Map<string, number>();
  const begun = clock();
  for (const plan of plans) {
    if (plan.start + plan.steps <= stepsDone || timed.has(kindOf(plan.phase))) continue;
    if ((clock() - begun) / 1000 >= budgetSeconds) break;
    timed.set(kindOf(plan.phase), await timePhase(options, plan, clock));
  }
  return timed;
}

async function timePhase(options: EstimateOptions, plan: PhasePlan, clock: () => number): Promise<number> {
  const { space, loader, schedule, executor, seed, wholeNetworks = true, signal } = options;
  const { phase, start, steps } = plan;
  const weights = options.initialWeights ?? initialiseWeights(space, seed);
  const parameters = trainableParameters(space);
  const decayed = new Set(parameters.filter(({ role }) => isDecayed(role)).map(({ name }) => name));
  // It copies what moves; running statistics move, too.
  const optimizer = new Sgd(copyTensors(weights), zeroTensors(parameters), decayed);
  const context: StepContext = {
    space,
    executor,
    seed,
    wholeNetworks,
    weights: optimizer.weights,
    gradients: optimizer,
    teacher: phase.distillation.teacher === 'largest' ? weights : undefined,
    labelSmoothing: schedule.labelSmoothing,
    ...(wholeNetworks
      ? { choices: phaseChoices(space, plan, schedule.batchSize, executor.programBytes) }
      : {}),
  };
  const few = Array.from({ length: Math.min(TIMED_STEPS, steps) }, (_, i) => start + i);
  // The same twice: the first time programs are compiled.
  const order = [...few, ...few];
  let since = clock();
  let i = 0;
  for await (const batch of loader.trainBatches(requests(loader, space, phase, seed, order))) {
    signal?.throwIfAborted();
    if (i === few.length) since = clock();
    await accumulateStep(context, phase, order[i]!, batch);
    optimizer.step({ learningRate: 0, momentum: schedule.momentum, weightDecay: 0 });
    i++;
  }
  return (clock() - since) / 1000 / few.length;
}

function* requests(
  loader: Loader,
  space: SearchSpace,
  phase: Phase,
  seed: number,
  steps: readonly number[],
): Generator<TrainBatchRequest> {
  const { stepsPerEpoch } = loader;
  for (const step of steps) {
    const epoch = Math.floor(step / stepsPerEpoch);
    yield { epoch, step: step % stepsPerEpoch, imageSize: drawImageSize(space, phase, seed, step) };
  }
}

function diskOf(
  space: SearchSpace,
  plans: readonly PhasePlan[],
): Pick<TrainingEstimate, 'diskBytes' | 'peakDiskBytes'> {
  const bytes = (specs: readonly { readonly shape: readonly number[] }[]): number =>
    specs.reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0);
  const weights = bytes(storedParameters(space));
  const saved = weights + bytes(trainableParameters(space));
  const teacher = plans.some(({ phase }) => phase.distillation.teacher === 'largest') ? weights : 0;
  return { diskBytes: saved + teacher, peakDiskBytes: 2 * saved + teacher };
}

/**
 * Seconds of all that is left, where a step of phase `index` has taken `stepSeconds` on the mean so far: later phases take
 * longer or shorter than that as they were estimated to, or else as long.
 */
export function secondsLeftOf(
  plans: readonly PhasePlan[],
  index: number,
  stepsLeft: number,
  stepSeconds: number,
  estimate: readonly PhaseEstimate[] = [],
): number {
  const own = estimate[index]?.stepSeconds;
  return plans.slice(index + 1).reduce((sum, { steps }, i) => {
    const later = estimate[index + 1 + i]?.stepSeconds;
    const ratio = own === undefined || later === undefined || own === 0 ? 1 : later / own;
    return sum + steps * stepSeconds * ratio;
  }, stepsLeft * stepSeconds);
}
