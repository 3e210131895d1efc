/** One training step: several subnets, gradients summed, one update (`EN/training/progressive_shrinking.py:157-213`). */
import type { Batch } from '../data/batchSource.js';
import type { Architecture } from '../space/architecture.js';
import { limitGenes } from '../space/limits.js';
import { sampleArchitecture } from '../space/sampling.js';
import { layerOutput, type BlockSpec, type LayerSpec } from '../space/network.js';
import { architectureOf, type SearchSpace } from '../space/space.js';
import type { SubnetChoices } from '../supernet/choices.js';
import type { SubnetExecutor } from '../supernet/executor.js';
import type { GradientSink } from '../supernet/slicing.js';
import type { SupernetWeights } from '../supernet/weights.js';
import { createRandom } from '../util/random.js';
import type { Tensor } from '../util/tensor.js';
import { phaseLimits, type Phase } from './schedule.js';
import { labelTargets, mixTargets, softLabels } from './targets.js';

export interface StepContext {
  readonly space: SearchSpace;
  readonly executor: SubnetExecutor;
  readonly weights: SupernetWeights;
  readonly gradients: GradientSink;
  readonly teacher: SupernetWeights | undefined;
  readonly labelSmoothing: number;
  readonly seed: number;
  /** False: no program holds a whole network, for want of memory. Default true. */
  readonly wholeNetworks?: boolean;
  /** The program of choices for random subnets of that size, where there is one. */
  readonly choices?: (imageSize: number) => SubnetChoices | undefined;
}

/** The image size of a step, shared by its subnets. */
export function drawImageSize(space: SearchSpace, phase: Phase, seed: number, step: number): number {
  const [resolution] = limitGenes(space.genes, phaseLimits(phase));
  return createRandom(seed, 'image size', step).pick(resolution!.choices);
}

/** The subnets of a step at that image size. `largest` is the largest of the whole space, whatever the phase allows. */
export function drawSubnets(
  space: SearchSpace,
  phase: Phase,
  seed: number,
  step: number,
  imageSize: number,
): Architecture[] {
  const genes = limitGenes(space.genes, { ...phaseLimits(phase), imageSize: [imageSize] });
  return phase.subnets.map((kind, draw) => {
    if (kind === 'largest') return { ...space.largest, imageSize };
    if (kind === 'smallest') return architectureOf(genes, ({ choices }) => choices[0]!);
    return sampleArchitecture(genes, createRandom(seed, 'subnet', step, draw));
  });
}

/**
 * Adds the gradients of a step's subnets to `context.gradients`, moves their batch-norm running statistics, and returns
 * the mean loss.
 */
export async function accumulateStep(
  context: StepContext,
  phase: Phase,
  step: number,
  batch: Batch,
): Promise<number> {
  const { space, executor, weights, gradients, seed, wholeNetworks = true } = context;
  const whole = wholeNetworks ? 'network' : 'blocks';
  const { images, labels } = batch;
  const imageSize = images.shape[2]!;
  const choices = context.choices?.(imageSize);
  const { teacher, weight, labelWeight } = phase.distillation;
  const hard = labelTargets(labels, space.parameters.classes, context.labelSmoothing);
  let soft: Tensor | undefined;
  if (teacher === 'largest') {
    // In training mode without gradients, as the reference's teacher (`progressive_shrinking.py:157-166`).
    const largest = space.network({ ...space.largest, imageSize });
    soft = softLabels((await executor.forward(context.teacher!, largest, images, whole)).logits);
  }
  let loss = 0;
  const subnets = drawSubnets(space, phase, seed, step, imageSize);
  for (const [draw, arch] of subnets.entries()) {
    const network = space.network(arch);
    const targets = soft === undefined ? hard : mixTargets(labelWeight, hard, weight, soft);
    const result = await executor.step(weights, network, images, targets, gradients, {
      partition: phase.subnets[draw] === 'random' ? (choices ?? 'blocks') : whole,
      random: createRandom(seed, 'dropout', step, draw),
    });
    if (draw === 0 && teacher === 'in-place') soft = softLabels(result.logits);
    for (const block of network.blocks) followStatistics(weights, block, result.statistics, images.shape[0]!);
    loss += result.loss / subnets.length;
  }
  return loss;
}

/**
 * Moves a block's running statistics towards the batch's, in the channels that the subnet has: the running variance
 * follows the unbiased one, as in PyTorch.
 */
function followStatistics(
  weights: SupernetWeights,
  block: BlockSpec,
  statistics: ReadonlyMap<string, Tensor>,
  batch: number,
): void {
  const move = (name: string, momentum: number, factor: number): void => {
    const { data: running } = weights.get(name)!;
    const { data } = statistics.get(name)!;
    for (let i = 0; i < data.length; i++)
      running[i] = (1 - momentum) * running[i]! + momentum * factor * data[i]!;
  };
  const walk = (layers: readonly LayerSpec[]): void => {
    let image = block.input;
    for (const layer of layers) {
      image = layerOutput(layer, image);
      if (layer.kind !== 'batchNorm') continue;
      const count = batch * image.height * image.width;
      const name = `${block.name}.${layer.name}`;
      move(`${name}.runningMean`, layer.momentum, 1);
      move(`${name}.runningVariance`, layer.momentum, count / Math.max(1, count - 1));
    }
  };
  walk(block.layers);
  if (typeof block.shortcut !== 'string') walk(block.shortcut);
}
