/**
 * How much memory training takes, and how it is kept within a limit. What there is to choose: whole networks as one program
 * are faster, block by block needs a fraction of the memory and gives the same numbers; programs that are kept need not be
 * compiled again. A step cannot be divided into smaller batches, as batch norm takes its statistics of the whole.
 */
import { backwardGraph, forwardGraph } from '../graph/network.js';
import { outputBytes, peakBytes } from '../graph/peakMemory.js';
import { architectureKey } from '../space/canonical.js';
import { limitGenes } from '../space/limits.js';
import { blockSignature, type BlockSpec, type Network } from '../space/network.js';
import { architectureOf, type SearchSpace } from '../space/space.js';
import { storedParameters } from '../supernet/weights.js';
import { UserError } from '../util/errors.js';
import { formatBytes } from '../util/memory.js';
import { sizeOf } from '../util/tensor.js';
import type { EvaluationSettings } from './evaluator.js';
import { phaseLimits, type Phase, type Schedule } from './schedule.js';

const FLOAT_BYTES = 4;
/** Node.js, the runtime's library and this code, before anything is trained: 130 to 190 MB as measured. */
const PROCESS_BYTES = 200e6;
/** Weights, gradients, momentum, a subnet's slice of weights and gradients, and both halves of a checkpoint being written. */
const WEIGHT_COPIES = 7;
/** Batches that are used, wait, or are in the making. */
const BATCHES = 5;
/** Allocators keep some of what they are given back. */
const FRAGMENTATION = 1.15;

export interface MemoryRequest {
  readonly space: SearchSpace;
  readonly schedule: Schedule;
  readonly evaluation: EvaluationSettings;
  /** In the validation split. */
  readonly validationImages: number;
  /** Of decoded images, kept while training. */
  readonly dataBytes: number;
}

/** Estimates, bytes. */
export interface MemoryNeeds {
  /** All the time: the process, weights and their kin, images. */
  readonly held: number;
  /** On top of that at the worst moment of a step, with one program for a whole network, and with one for each block. */
  readonly wholeStep: number;
  readonly blockStep: number;
  /** The same of validation, in the batches asked for, and in batches no larger than training's. */
  readonly validation: number;
  readonly smallValidation: number;
  /** Of all batches that validation could keep. */
  readonly validationImages: number;
}

export interface MemoryPlan {
  /** Estimated bytes at the worst moment, programs that are kept apart. */
  readonly needed: number;
  /** Whether whole networks fit into one program. */
  readonly wholeNetworks: boolean;
  /** What is left for compiled programs, bytes. */
  readonly programBytes: number;
  readonly evaluation: Partial<EvaluationSettings>;
}

/** The networks that take the most: of each phase the largest it trains or is taught by, at its largest image size. */
function largestNetworks(space: SearchSpace, phases: readonly Phase[]): Network[] {
  const architectures = phases.map((phase) => {
    const genes = limitGenes(space.genes, phaseLimits(phase));
    const largest = architectureOf(genes, ({ choices }) => choices[choices.length - 1]!);
    const whole = phase.subnets.includes('largest') || phase.distillation.teacher === 'largest';
    return whole ? { ...space.largest, imageSize: largest.imageSize } : largest;
  });
  const distinct = new Map(architectures.map((arch) => [architectureKey(space.genes, arch), arch]));
  return [...distinct.values()].map((arch) => space.network(arch));
}

/** Blocks of a network that are computed differently, with whether they are its last or first. */
function distinctBlocks({ blocks }: Network): { block: BlockSpec; first: boolean; last: boolean }[] {
  const found = blocks.map((block, i) => ({ block, first: i === 0, last: i === blocks.length - 1 }));
  return [...new Map(found.map((each) => [blockSignature(each.block), each])).values()];
}

const inputBytes = ({ input }: BlockSpec, batch: number): number =>
  FLOAT_BYTES * batch * input.channels * input.height * input.width;

const most = <T>(items: readonly T[], bytes: (item: T) => number): number => Math.max(...items.map(bytes));

/** What a training step of the network takes as one program, estimated: activations and what it gives back. */
export function wholeStepBytes({ blocks }: Network, batch: number): number {
  const graph = backwardGraph(blocks, batch, { loss: true, inputGradient: false });
  return peakBytes(graph) + outputBytes(graph);
}

/** Every block's input is kept until its backward program has run; outputs that nobody needs any more wait to be collected. */
function blockStepBytes(network: Network, batch: number): number {
  const kept = 2 * network.blocks.reduce((sum, block) => sum + inputBytes(block, batch), 0);
  const program = most(distinctBlocks(network), ({ block, first, last }) => {
    const graph = backwardGraph([block], batch, { loss: last, inputGradient: !first });
    return peakBytes(graph) + outputBytes(graph);
  });
  return kept + program;
}

function validationBytes(network: Network, calibrationBatch: number, evaluationBatch: number): number {
  const blocks = distinctBlocks(network).map(({ block }) => block);
  const calibration = most(blocks, (block) => {
    const graph = forwardGraph([block], calibrationBatch, 'calibration');
    return peakBytes(graph) + outputBytes(graph) + inputBytes(block, calibrationBatch);
  });
  const evaluation = most(blocks, (block) => peakBytes(forwardGraph([block], evaluationBatch, 'inference')));
  const images = inputBytes(network.blocks[0]!, calibrationBatch + evaluationBatch);
  return Math.max(calibration, evaluation) + BATCHES * images;
}

/** Estimates, from shapes alone. */
export function memoryNeeds(request: MemoryRequest): MemoryNeeds {
  const { space, schedule, evaluation, dataBytes } = request;
  const { batchSize, phases } = schedule;
  const { calibrationBatch, evaluationBatch } = evaluation;
  const networks = largestNetworks(space, phases);
  const [validated] = largestNetworks(space, [{ ...phases[0]!, choices: {}, subnets: ['largest'] }]);
  const weights = FLOAT_BYTES * storedParameters(space).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const teacher = phases.some(({ distillation }) => distillation.teacher === 'largest') ? 1 : 0;
  const small = [calibrationBatch, evaluationBatch].map((batch) => Math.min(batch, batchSize));
  return {
    held:
      PROCESS_BYTES +
      (WEIGHT_COPIES + teacher) * weights +
      dataBytes +
      BATCHES * most(networks, ({ blocks }) => inputBytes(blocks[0]!, batchSize)),
    wholeStep: FRAGMENTATION * most(networks, (network) => wholeStepBytes(network, batchSize)),
    blockStep: FRAGMENTATION * most(networks, (network) => blockStepBytes(network, batchSize)),
    validation: FRAGMENTATION * validationBytes(validated!, calibrationBatch, evaluationBatch),
    smallValidation: FRAGMENTATION * validationBytes(validated!, small[0]!, small[1]!),
    validationImages: validationImageBytes(request),
  };
}

/** Programs of fewer bytes would be compiled again at every step: those of a few subnets. */
const LEAST_PROGRAM_BYTES = 150e6;
/** Image sizes of the subnets that are validated: the largest's, the smallest's and up to two others. */
const VALIDATED_SIZES = 4;
/** Part of the limit that validation's batches may take. */
const CACHE_SHARE = 1 / 16;

/** All batches of validation, as if they all had the largest image size. */
function validationImageBytes({ space, evaluation, validationImages }: MemoryRequest): number {
  const [sizes] = space.genes;
  const network = space.network(space.largest);
  const images = Math.min(validationImages, evaluation.limit ?? Infinity) + evaluation.calibrationImages;
  return Math.min(VALIDATED_SIZES, sizes!.choices.length) * inputBytes(network.blocks[0]!, images);
}

/**
 * The best way to train that is estimated to stay within `maxBytes`, or else the one that needs the least. `needs`: those
 * of the request.
 */
export function leastMemoryPlan(
  request: MemoryRequest,
  maxBytes: number,
  needs: MemoryNeeds = memoryNeeds(request),
): MemoryPlan {
  const { schedule, evaluation } = request;
  const cacheBytes = Math.min(evaluation.cacheBytes, maxBytes * CACHE_SHARE);
  const cached = Math.min(cacheBytes, needs.validationImages);
  const plan = (wholeNetworks: boolean, small: boolean): MemoryPlan => {
    const step = wholeNetworks ? needs.wholeStep : needs.blockStep;
    const validation = small ? needs.smallValidation : needs.validation;
    const needed = needs.held + cached + Math.max(step, validation);
    const batches = {
      calibrationBatch: Math.min(schedule.batchSize, evaluation.calibrationBatch),
      evaluationBatch: Math.min(schedule.batchSize, evaluation.evaluationBatch),
    };
    return {
      needed,
      wholeNetworks,
      programBytes: maxBytes - needed,
      evaluation: { cacheBytes, ...(small ? batches : {}) },
    };
  };
  const best = [plan(true, false), plan(false, false), plan(true, true)];
  return best.find(({ programBytes }) => programBytes >= LEAST_PROGRAM_BYTES) ?? plan(false, true);
}

/** `leastMemoryPlan`, or UserError where none stays within `maxBytes`: it says what is needed and what to change. */
export function planMemory(
  request: MemoryRequest,
  maxBytes: number,
  needs: MemoryNeeds = memoryNeeds(request),
): MemoryPlan {
  const plan = leastMemoryPlan(request, maxBytes, needs);
  if (plan.programBytes >= LEAST_PROGRAM_BYTES) return plan;
  const { space, schedule, evaluation } = request;
  const size = most(largestNetworks(space, schedule.phases), ({ input }) => input.height);
  // With what validation keeps at that limit.
  const bare = needs.held + Math.max(needs.blockStep, needs.smallValidation) + LEAST_PROGRAM_BYTES;
  const share = (bare * CACHE_SHARE) / (1 - CACHE_SHARE);
  const least = bare + Math.min(evaluation.cacheBytes, needs.validationImages, share);
  throw new UserError(
    `Cannot train within ${formatBytes(maxBytes)}: "${space.name}" with ${schedule.batchSize} images of ${size}x${size} a step needs about ${formatBytes(least)}, block by block; ` +
      'a step cannot be divided, as batch norm takes its statistics of the whole batch: choose a smaller batchSize in the schedule, smaller --image-sizes or a smaller --width',
  );
}
