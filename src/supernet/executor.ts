/**
 * Runs subnets with the shared weights: training steps, forward passes with batch statistics, inference. A network is
 * cut into segments of consecutive blocks, one program each. Programs take weights as inputs, so those of a block serve
 * every position, subnet and step with the same shapes (docs/decisions/0002-block-programs.md).
 */
import type { ProgramCache } from '../engine/programCache.js';
import { choiceName, type Choice } from '../graph/choices.js';
import {
  backwardGraph,
  dropoutMasks,
  forwardGraph,
  GRADIENT,
  segmentName,
  type Mode,
} from '../graph/network.js';
import { blockSignature, type BlockSpec, type Network } from '../space/network.js';
import { blockParameters, isTrainable } from '../space/parameters.js';
import type { Random } from '../util/random.js';
import { idleStopwatch, type Stopwatch } from '../util/stopwatch.js';
import { tensor, type Tensor } from '../util/tensor.js';
import { SubnetChoices } from './choices.js';
import { subnetTensors, type GradientSink } from './slicing.js';
import type { SupernetWeights } from './weights.js';

/**
 * `blocks`: a program for every distinct block, whatever subnet it is in. `network`: one program for the whole network,
 * without crossings and recomputation, for architectures that come again and again (the teacher, the largest).
 * `SubnetChoices`: one program for all its subnets, as fast as `network`, for thousands of steps; it takes seconds to
 * compile. Where the engine has none, `blocks`.
 */
export type Partition = 'blocks' | 'network' | SubnetChoices;

export interface ForwardResult {
  /** [N, classes]. */
  readonly logits: Tensor;
  /** Batch means and biased variances by full name (`block.norm.runningMean`). */
  readonly statistics: ReadonlyMap<string, Tensor>;
}

export interface StepResult extends ForwardResult {
  readonly loss: number;
}

export interface StepOptions {
  readonly partition: Partition;
  /** Draws dropout masks; needed by networks with dropout. */
  readonly random: Random;
}

type Inputs = Record<string, Tensor>;

/** Segments with the blocks' parameters; built once a pass. */
interface Segment {
  readonly blocks: readonly BlockSpec[];
  readonly signature: string;
}

function segmentsOf(network: Network, partition: Partition): Segment[] {
  const lists = partition === 'network' ? [network.blocks] : network.blocks.map((block) => [block]);
  return lists.map((blocks) => ({ blocks, signature: blocks.map(blockSignature).join('|') }));
}

/** Parameters of a segment as its program names them. */
function segmentTensors(weights: SupernetWeights, { blocks }: Segment): Inputs {
  const inputs: Inputs = {};
  blocks.forEach((block, i) => {
    const tensors = subnetTensors(weights, block);
    for (const { name, role } of blockParameters(block, 'used')) {
      if (isTrainable(role)) inputs[segmentName(i, name)] = tensors.get(name)!;
    }
  });
  return inputs;
}

/** Masks of 0 and 1 / (1 - rate). */
function masksOf({ blocks }: Segment, batch: number, random: Random): Inputs {
  const inputs: Inputs = {};
  blocks.forEach((block, i) => {
    for (const { name, features, rate } of dropoutMasks(block)) {
      const keep = 1 / (1 - rate);
      const mask = tensor([batch, features]);
      for (let j = 0; j < mask.data.length; j++) mask.data[j] = random.float() < rate ? 0 : keep;
      inputs[segmentName(i, name)] = mask;
    }
  });
  return inputs;
}

/** Takes the statistics out of a program's outputs, under their full names. */
function collectStatistics(
  { blocks }: Segment,
  output: (name: string) => Tensor,
  into: Map<string, Tensor>,
): void {
  blocks.forEach((block, i) => {
    for (const { name, role } of blockParameters(block, 'used')) {
      if (!isTrainable(role)) into.set(`${block.name}.${name}`, output(segmentName(i, name)));
    }
  });
}

const lastBlock = ({ blocks }: Network): BlockSpec => blocks[blocks.length - 1]!;

/** A segment for each block that is there, in the order of the network, and the choice at each position. */
function chosenSegments(
  choices: SubnetChoices,
  network: Network,
): { readonly segments: readonly Segment[]; readonly choices: readonly Choice[] } {
  return {
    segments: network.blocks.map((block) => ({ blocks: [block], signature: '' })),
    choices: choices.find(network).map(({ choice }) => choice),
  };
}

/** Adds tensors of a segment of one block under their names in a chain of choices. */
function addNamed(into: Inputs, { blocks }: Segment, tensors: Inputs): void {
  for (const [name, value] of Object.entries(tensors)) into[choiceName(blocks[0]!.name, name)] = value;
}

/** Looks up outputs of a chain of choices by the names they have in a program of the segment of one block. */
const outputsOf =
  ({ blocks }: Segment, outputs: Record<string, Tensor>) =>
  (name: string): Tensor =>
    outputs[choiceName(blocks[0]!.name, name)]!;

export class SubnetExecutor {
  /** Weight slicing and gradient scattering are told to the stopwatch. */
  constructor(
    private readonly programs: ProgramCache,
    private readonly stopwatch: Stopwatch<'slicing' | 'scatter'> = idleStopwatch,
  ) {}

  /** What compiled programs may hold between runs. */
  get programBytes(): number {
    return this.programs.maxBytes;
  }

  /** Logits and batch statistics, batch norm normalising with the batch's own; no dropout. images: [N, C, S, S]. */
  async forward(
    weights: SupernetWeights,
    network: Network,
    images: Tensor,
    partition: Partition,
  ): Promise<ForwardResult> {
    if (partition instanceof SubnetChoices && this.programs.canChoose) {
      return this.chosenForward(weights, network, images, partition);
    }
    const statistics = new Map<string, Tensor>();
    let x = images;
    for (const segment of segmentsOf(network, partition)) {
      const own = this.slice(weights, segment);
      const outputs = await this.runForward(segment, x, own, 'calibration', partition === 'network');
      collectStatistics(segment, (name) => outputs[name]!, statistics);
      x = outputs['y']!;
    }
    return { logits: x, statistics };
  }

  /**
   * Loss of a batch, and its gradients added to `gradients` by the weights' names. images:
   * [N, C, S, S]; targets: [N, classes], rows need not sum to 1 (`crossEntropy`).
   */
  async step(
    weights: SupernetWeights,
    network: Network,
    images: Tensor,
    targets: Tensor,
    gradients: GradientSink,
    options: StepOptions,
  ): Promise<StepResult> {
    const { partition } = options;
    if (partition instanceof SubnetChoices && this.programs.canChoose) {
      return this.chosenStep(weights, network, images, targets, gradients, { ...options, partition });
    }
    const batch = images.shape[0]!;
    const segments = segmentsOf(network, partition);
    const statistics = new Map<string, Tensor>();
    const inputs: Inputs[] = [];
    let x = images;
    for (const segment of segments) {
      const own: Inputs = { ...this.slice(weights, segment), ...masksOf(segment, batch, options.random) };
      inputs.push({ ...own, x });
      if (segment === segments[segments.length - 1]) break;
      const outputs = await this.runForward(segment, x, own, 'training');
      collectStatistics(segment, (name) => outputs[name]!, statistics);
      x = outputs['y']!;
    }
    let result: { loss: number; logits: Tensor } | undefined;
    let dy = targets;
    for (let i = segments.length - 1; i >= 0; i--) {
      const segment = segments[i]!;
      const loss = result === undefined;
      const program = await this.programs.get(
        `backward ${loss ? 'loss' : ''}${i === 0 ? 'first' : ''} ${batch} ${segment.signature}`,
        () => backwardGraph(segment.blocks, batch, { loss, inputGradient: i > 0 }),
        partition === 'network',
      );
      const outputs = await program.run({ ...inputs[i]!, [loss ? 'targets' : 'dy']: dy });
      if (loss) {
        collectStatistics(segment, (name) => outputs[name]!, statistics);
        result = { loss: outputs['loss']!.data[0]!, logits: outputs['y']! };
      }
      if (i > 0) dy = outputs[`${GRADIENT}x`]!;
      const scattered = this.stopwatch.begin('scatter');
      scatter(segment, (name) => outputs[name]!, gradients);
      scattered();
    }
    return { ...result!, statistics };
  }

  private async chosenForward(
    weights: SupernetWeights,
    network: Network,
    images: Tensor,
    choices: SubnetChoices,
  ): Promise<ForwardResult> {
    const batch = images.shape[0]!;
    const chosen = chosenSegments(choices, network);
    const inputs: Inputs = { [choiceName(network.blocks[0]!.name, 'x')]: images };
    for (const segment of chosen.segments) addNamed(inputs, segment, this.slice(weights, segment));
    const program = await this.programs.choices(`forward ${batch} ${choices.key}`, () =>
      choices.forward(batch, 'calibration'),
    );
    const outputs = await program.run(inputs, chosen.choices);
    const statistics = new Map<string, Tensor>();
    for (const segment of chosen.segments) {
      collectStatistics(segment, outputsOf(segment, outputs), statistics);
    }
    return { logits: outputs[choiceName(lastBlock(network).name, 'y')]!, statistics };
  }

  private async chosenStep(
    weights: SupernetWeights,
    network: Network,
    images: Tensor,
    targets: Tensor,
    gradients: GradientSink,
    { partition: choices, random }: StepOptions & { readonly partition: SubnetChoices },
  ): Promise<StepResult> {
    const batch = images.shape[0]!;
    const chosen = chosenSegments(choices, network);
    const last = lastBlock(network).name;
    const inputs: Inputs = {
      [choiceName(network.blocks[0]!.name, 'x')]: images,
      [choiceName(last, 'targets')]: targets,
    };
    for (const segment of chosen.segments) {
      addNamed(inputs, segment, this.slice(weights, segment));
      addNamed(inputs, segment, masksOf(segment, batch, random));
    }
    const program = await this.programs.choices(
      `step ${batch} ${choices.key}`,
      () => choices.step(batch),
      choices.stepBytes,
    );
    const outputs = await program.run(inputs, chosen.choices);
    const statistics = new Map<string, Tensor>();
    for (const segment of chosen.segments) {
      const own = outputsOf(segment, outputs);
      collectStatistics(segment, own, statistics);
      const scattered = this.stopwatch.begin('scatter');
      scatter(segment, own, gradients);
      scattered();
    }
    const [loss, logits] = ['loss', 'y'].map((name) => outputs[choiceName(last, name)]!) as [Tensor, Tensor];
    return { loss: loss.data[0]!, logits, statistics };
  }

  private slice(weights: SupernetWeights, segment: Segment): Inputs {
    const sliced = this.stopwatch.begin('slicing');
    const tensors = segmentTensors(weights, segment);
    sliced();
    return tensors;
  }

  private async runForward(
    segment: Segment,
    x: Tensor,
    inputs: Inputs,
    mode: Mode,
    keepMemory = false,
  ): Promise<Record<string, Tensor>> {
    const batch = x.shape[0]!;
    const program = await this.programs.get(
      `forward ${mode} ${batch} ${segment.signature}`,
      () => forwardGraph(segment.blocks, batch, mode),
      keepMemory,
    );
    return program.run({ ...inputs, x });
  }
}

function scatter({ blocks }: Segment, output: (name: string) => Tensor, gradients: GradientSink): void {
  blocks.forEach((block, i) => {
    for (const { name, role } of blockParameters(block, 'used')) {
      if (isTrainable(role)) gradients.add(`${block.name}.${name}`, output(GRADIENT + segmentName(i, name)));
    }
  });
}
