/** A step's losses, targets and running statistics, against loops in float64. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Batch } from '../../src/data/batchSource.js';
import type { Runtime } from '../../src/pipeline/runtime.js';
import type { Architecture } from '../../src/space/architecture.js';
import { layerOutput } from '../../src/space/network.js';
import { sumInto } from '../../src/supernet/slicing.js';
import { zeroTensors, type SupernetWeights } from '../../src/supernet/weights.js';
import { phaseSchema, type Phase } from '../../src/training/schedule.js';
import { copyTensors, trainableParameters } from '../../src/training/state.js';
import { accumulateStep, drawSubnets } from '../../src/training/step.js';
import { labelTargets, mixTargets, softLabels } from '../../src/training/targets.js';
import { createRandom } from '../../src/util/random.js';
import { tensor } from '../../src/util/tensor.js';
import { naiveLoss, naiveNetwork } from '../support/naiveNetwork.js';
import { disturbedWeights, randomTensor } from '../support/supernets.js';
import { tinySpace, twoThreads } from './support/runs.js';
import '../support/matchers.js';

const space = tinySpace({ dropout: 0 });
const SEED = 5;
const SMOOTHING = 0.1;
const batch: Batch = {
  images: randomTensor([6, 1, 8, 8], 'images'),
  labels: Int32Array.of(0, 3, 9, 1, 3, 7),
  indices: Int32Array.from({ length: 6 }, (_, i) => i),
};
const hard = labelTargets(batch.labels, 10, SMOOTHING);
const phaseOf = (rest: object): Phase =>
  phaseSchema.parse({ name: 'p', epochs: 1, learningRate: 1, ...rest });

let runtime: Runtime;
beforeAll(async () => {
  runtime = await twoThreads();
});
afterAll(() => runtime.dispose());

async function step(phase: Phase, weights: SupernetWeights, teacher?: SupernetWeights) {
  const gradients = zeroTensors(trainableParameters(space));
  const context = {
    space,
    executor: runtime.executor,
    weights,
    gradients: sumInto(gradients),
    teacher,
    labelSmoothing: SMOOTHING,
    seed: SEED,
  };
  return { loss: await accumulateStep(context, phase, 0, batch), gradients };
}

const naive = (arch: Architecture, weights: SupernetWeights) =>
  naiveNetwork(space.network(arch), batch.images, weights, { training: true });
const opinion = (arch: Architecture, weights: SupernetWeights) => {
  const { n, c, data } = naive(arch, weights).y;
  return softLabels(tensor([n, c], Float32Array.from(data)));
};

describe('the loss of a step', () => {
  const weights = disturbedWeights(space, 'student');
  const largest = { ...space.largest, imageSize: 8 };

  it('is the mean over its subnets, on smoothed labels', async () => {
    const phase = phaseOf({ subnets: ['random', 'random', 'smallest'] });
    const archs = drawSubnets(space, phase, SEED, 0, 8);
    const losses = archs.map((arch) => naiveLoss(naive(arch, weights).y, hard));
    const { loss } = await step(phase, copyTensors(weights));
    expect(loss).toBeCloseTo(losses.reduce((a, b) => a + b) / 3, 5);
  });

  it('adds what the teacher says, who normalises with batch statistics', async () => {
    const distillation = { teacher: 'largest', weight: 0.7, labelWeight: 0.4 };
    const phase = phaseOf({ subnets: ['random'], distillation });
    const teacher = disturbedWeights(space, 'teacher');
    const before = copyTensors(teacher);
    const targets = mixTargets(0.4, hard, 0.7, opinion(largest, teacher));
    const [arch] = drawSubnets(space, phase, SEED, 0, 8);
    const { loss } = await step(phase, copyTensors(weights), teacher);
    expect(loss).toBeCloseTo(naiveLoss(naive(arch!, weights).y, targets), 5);
    expect(teacher).toEqual(before);
  });

  it('in place: the largest learns from labels, the others from the largest', async () => {
    const distillation = { teacher: 'in-place', weight: 1, labelWeight: 0 };
    const phase = phaseOf({ subnets: ['largest', 'smallest', 'random'], distillation });
    const [, ...others] = drawSubnets(space, phase, SEED, 0, 8);
    const soft = opinion(largest, weights);
    const losses = [
      naiveLoss(naive(largest, weights).y, hard),
      ...others.map((arch) => naiveLoss(naive(arch, weights).y, soft)),
    ];
    const { loss } = await step(phase, copyTensors(weights));
    expect(loss).toBeCloseTo(losses.reduce((a, b) => a + b) / 3, 5);
  });
});

it('gradients of a step are the sum over its subnets', async () => {
  const weights = disturbedWeights(space, 'sum');
  const phase = phaseOf({ subnets: ['random', 'random'] });
  const { gradients } = await step(phase, copyTensors(weights));
  const sum = zeroTensors(trainableParameters(space));
  for (const arch of drawSubnets(space, phase, SEED, 0, 8)) {
    const options = { partition: 'blocks', random: createRandom('unused') } as const;
    await runtime.executor.step(weights, space.network(arch), batch.images, hard, sumInto(sum), options);
  }
  expect(gradients).toEqual(sum);
});

describe('running statistics', () => {
  /** torch.nn.BatchNorm2d: running = (1 - momentum) * running + momentum * batch's, the variance unbiased. */
  function followed(arch: Architecture, weights: SupernetWeights): Map<string, Float64Array> {
    const { statistics } = naive(arch, weights);
    const result = new Map([...weights].map(([name, { data }]) => [name, Float64Array.from(data)]));
    for (const block of space.network(arch).blocks) {
      let shape = block.input;
      for (const layer of block.layers) {
        shape = layerOutput(layer, shape);
        if (layer.kind !== 'batchNorm') continue;
        const count = 6 * shape.height * shape.width;
        for (const [suffix, factor] of [
          ['runningMean', 1],
          ['runningVariance', count / (count - 1)],
        ] as const) {
          const name = `${block.name}.${layer.name}.${suffix}`;
          statistics
            .get(name)!
            .forEach((v, c) => (result.get(name)![c] = 0.9 * result.get(name)![c]! + 0.1 * factor * v));
        }
      }
    }
    return result;
  }

  it('of the channels and layers that the subnet has follow the batch, all others stay', async () => {
    const weights = disturbedWeights(space, 'statistics');
    const phase = phaseOf({ subnets: ['smallest'] });
    const [arch] = drawSubnets(space, phase, SEED, 0, 8);
    const before = copyTensors(weights);
    const expected = followed(arch!, before);
    await step(phase, weights);
    let [moved, kept] = [0, 0];
    for (const [name, { data }] of weights) {
      expect(data, name).toBeAllclose(expected.get(name)!, { relative: 1e-5, absolute: 1e-6 });
      data.forEach((v, i) => {
        if (expected.get(name)![i] === before.get(name)!.data[i]) {
          expect(v).toBe(before.get(name)!.data[i]);
          if (/running/.test(name)) kept++;
        } else moved++;
      });
    }
    expect(moved).toBeGreaterThan(20);
    expect(kept).toBeGreaterThan(20);
  });

  it('follow every subnet of a step, one after the other', async () => {
    const weights = disturbedWeights(space, 'two');
    const phase = phaseOf({ subnets: ['smallest', 'largest'] });
    const [first, second] = drawSubnets(space, phase, SEED, 0, 8);
    const name = 'stage0.block0.depthwiseNorm.runningVariance';
    const once = copyTensors(weights);
    const between = followed(first!, once).get(name)!;
    once.set(name, tensor(once.get(name)!.shape, Float32Array.from(between)));
    const expected = followed(second!, once).get(name)!;
    await step(phase, weights);
    expect(weights.get(name)!.data).toBeAllclose(expected, { relative: 1e-5 });
  });
});
