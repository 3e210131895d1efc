/**
 * Runs subnets with the shared weights: training steps, forward passes with batch statistics, inference. A network is
 * cut into segments of consecutive blocks, one program each. Programs take weights as inputs, so those of a block serve
 * every position, subnet and step with the same shapes (docs/decisions/0002-block-programs.md).
 */
import type { ProgramCache } from '../engine/programCache.js';
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
import { addToSupernet, subnetTensors } from './slicing.js';
import type { SupernetWeights } from './weights.js';

/**
 * `blocks`: a program for every distinct block, whatever subnet it is in. `network`: one program for the whole network,
 * without crossings and recomputation, for architectures that come again and again (the teacher, the largest).
 */
export type Partition = 'blocks' | 'network';

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
      inputs[segmentName(i, name)] = tensor(
        [batch, features],
        Float32Array.from({ length: batch * features }, () => (random.float() < rate ? 0 : keep)),
      );
    }
  });
  return inputs;
}

/** Takes the statistics out of a program's outputs, under their full names. */
function collectStatistics(
  { blocks }: Segment,
  outputs: Record<string, Tensor>,
  into: Map<string, Tensor>,
): void {
  blocks.forEach((block, i) => {
    for (const { name, role } of blockParameters(block, 'used')) {
      if (!isTrainable(role)) into.set(`${block.name}.${name}`, outputs[segmentName(i, name)]!);
    }
  });
}

export class SubnetExecutor {
  /** Weight slicing and gradient scattering are told to the stopwatch. */
  constructor(
    private readonly programs: ProgramCache,
    private readonly stopwatch: Stopwatch<'slicing' | 'scatter'> = idleStopwatch,
  ) {}

  /** Logits and batch statistics, batch norm normalising with the batch's own; no dropout. images: [N, C, S, S]. */
  async forward(
    weights: SupernetWeights,
    network: Network,
    images: Tensor,
    partition: Partition,
  ): Promise<ForwardResult> {
    const statistics = new Map<string, Tensor>();
    let x = images;
    for (const segment of segmentsOf(network, partition)) {
      const outputs = await this.runForward(segment, x, this.slice(weights, segment), 'calibration');
      collectStatistics(segment, outputs, statistics);
      x = outputs['y']!;
    }
    return { logits: x, statistics };
  }

  /**
   * Loss of a batch, and its gradients added to `gradients` (full-size tensors by the weights' names). images:
   * [N, C, S, S]; targets: [N, classes], rows need not sum to 1 (`crossEntropy`).
   */
  async step(
    weights: SupernetWeights,
    network: Network,
    images: Tensor,
    targets: Tensor,
    gradients: SupernetWeights,
    options: StepOptions,
  ): Promise<StepResult> {
    const batch = images.shape[0]!;
    const segments = segmentsOf(network, options.partition);
    const statistics = new Map<string, Tensor>();
    const inputs: Inputs[] = [];
    let x = images;
    for (const segment of segments) {
      const own: Inputs = { ...this.slice(weights, segment), ...masksOf(segment, batch, options.random) };
      inputs.push({ ...own, x });
      if (segment === segments[segments.length - 1]) break;
      const outputs = await this.runForward(segment, x, own, 'training');
      collectStatistics(segment, outputs, statistics);
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
      );
      const outputs = await program.run({ ...inputs[i]!, [loss ? 'targets' : 'dy']: dy });
      if (loss) {
        collectStatistics(segment, outputs, statistics);
        result = { loss: outputs['loss']!.data[0]!, logits: outputs['y']! };
      }
      if (i > 0) dy = outputs[`${GRADIENT}x`]!;
      const scattered = this.stopwatch.begin('scatter');
      scatter(segment, outputs, gradients);
      scattered();
    }
    return { ...result!, statistics };
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
  ): Promise<Record<string, Tensor>> {
    const batch = x.shape[0]!;
    const program = await this.programs.get(`forward ${mode} ${batch} ${segment.signature}`, () =>
      forwardGraph(segment.blocks, batch, mode),
    );
    return program.run({ ...inputs, x });
  }
}

function scatter({ blocks }: Segment, outputs: Record<string, Tensor>, gradients: SupernetWeights): void {
  blocks.forEach((block, i) => {
    const parts = new Map<string, Tensor>();
    for (const { name, role } of blockParameters(block, 'used')) {
      if (isTrainable(role)) parts.set(name, outputs[GRADIENT + segmentName(i, name)]!);
    }
    addToSupernet(gradients, parts, block.name);
  });
}
