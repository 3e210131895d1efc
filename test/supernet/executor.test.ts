/** Subnet steps on the real runtime against loops in float64, and finite differences of their loss. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { defaultTarget } from '../../src/engine/onnxruntime/defaultTarget.js';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { ProgramCache } from '../../src/engine/programCache.js';
import { onnxTarget } from '../../src/lowering/onnx.js';
import type { Architecture } from '../../src/space/architecture.js';
import { isTrainable, networkParameters } from '../../src/space/parameters.js';
import type { SearchSpace } from '../../src/space/space.js';
import { limitGenes } from '../../src/space/limits.js';
import { sampleArchitecture } from '../../src/space/sampling.js';
import { SubnetChoices } from '../../src/supernet/choices.js';
import { isLeading } from '../../src/supernet/slicing.js';
import { SubnetExecutor, type Partition, type StepResult } from '../../src/supernet/executor.js';
import { sumInto } from '../../src/supernet/slicing.js';
import { storedParameters, zeroTensors, type SupernetWeights } from '../../src/supernet/weights.js';
import { createRandom } from '../../src/util/random.js';
import { sizeOf, tensor, type Tensor } from '../../src/util/tensor.js';
import { naiveLoss, naiveNetwork } from '../support/naiveNetwork.js';
import { tinyResnet } from '../support/spaces.js';
import { disturbedWeights, randomTensor } from '../support/supernets.js';
import { tinySpace } from '../training/support/runs.js';
import '../support/matchers.js';

const BATCH = 4;
const PARTITIONS = ['blocks', 'network', 'choices'] as const;
type PartitionName = (typeof PARTITIONS)[number];
const dropout = () => createRandom('masks');

/** A space with a subnet of it, and what its blocks depend on. */
interface Subject {
  readonly family: string;
  readonly space: SearchSpace;
  readonly arch: Architecture;
  /** A subnet of which every block is one of `arch`. */
  readonly shallow: Architecture;
  /** Inputs of the dense layer behind the dropout. */
  readonly features: number;
  /** Parameters whose gradients may be nothing but rounding. */
  readonly still: RegExp;
}

const mbconvSubject: Subject = {
  family: 'mbconv',
  space: tinySpace({ dropout: 0.25 }),
  arch: { imageSize: 8, ks: [3, 5], e: [2, 1], d: [2] },
  shallow: { imageSize: 8, ks: [3, 5], e: [2, 1], d: [1] },
  features: 16,
  // Inner units of squeeze-excite may be off; the last block's shift is taken away by the batch norm of the head.
  still: /\.reduce\.bias$|^stage0\.block1\.projectNorm\.bias$/,
};
const resnetSubject: Subject = {
  family: 'resnet',
  space: tinyResnet({ dropout: 0.25, imageSizes: [12] }),
  arch: { imageSize: 12, ks: [], e: [0.5, 1, 1, 0.5], d: [1, 0, 1], w: [1, 1, 0, 1] },
  shallow: { imageSize: 12, ks: [], e: [0.5, 1, 1, 0.5], d: [1, 0, 0], w: [1, 1, 0, 1] },
  features: 24,
  still: /^$/,
};

/** A label and a teacher's opinion: rows that sum to 2. */
const targets = tensor(
  [BATCH, 10],
  Float32Array.from({ length: BATCH * 10 }, (_, i) => 0.1 + Number(i % 10 === Math.floor(i / 10))),
);

function prepare({ space, arch, features }: Subject) {
  const weights = disturbedWeights(space, 'executor');
  const network = space.network(arch);
  const images = randomTensor([BATCH, 1, arch.imageSize, arch.imageSize], 'images');
  const trainable = storedParameters(space).filter(({ role }) => isTrainable(role));
  const random = dropout();
  const mask = Array.from({ length: BATCH * features }, () => (random.float() < 0.25 ? 0 : 1 / 0.75));
  const masks = new Map([['classifier.dropout.mask', mask]]);
  const naive = naiveNetwork(network, images, weights, { training: true, masks });
  return { weights, network, images, trainable, masks, naive };
}

interface Run {
  readonly result: StepResult;
  readonly gradients: SupernetWeights;
}

/** Plain operators everywhere; and what training takes on this machine. */
const LOWERINGS = [
  { lowering: 'plain', target: () => Promise.resolve(onnxTarget) },
  { lowering: 'default', target: () => defaultTarget() },
];

describe.each([mbconvSubject, resnetSubject])('a subnet of family $family', (subject) => {
  const { space } = subject;
  const { weights, network, images, trainable, masks, naive } = prepare(subject);
  const choices = SubnetChoices.of(space, space.genes, subject.arch.imageSize);
  const partitionOf = (name: PartitionName): Partition => (name === 'choices' ? choices : name);

  /** Loss with one value of one tensor moved. */
  function lossAt(name: string, index: number, change: number): number {
    const { shape, data } = weights.get(name)!;
    const moved = Float64Array.from(data);
    moved[index]! += change;
    const all = new Map<string, { shape: readonly number[]; data: ArrayLike<number> }>(weights);
    all.set(name, { shape, data: moved });
    const { y } = naiveNetwork(network, images, all, { training: true, masks });
    return naiveLoss(y, targets);
  }
  const slopes = new Map<string, number>();
  /** Derivative of the loss by one value, from differences; once for all lowerings. */
  function slope(name: string, index: number): number {
    const key = `${name} ${index}`;
    const h = 1e-5;
    if (!slopes.has(key)) slopes.set(key, (lossAt(name, index, h) - lossAt(name, index, -h)) / (2 * h));
    return slopes.get(key)!;
  }

  describe.each(LOWERINGS)('with the $lowering lowering', ({ target }) => {
    let programs: ProgramCache;
    let executor: SubnetExecutor;
    const runs = new Map<PartitionName, Run>();

    beforeAll(async () => {
      programs = new ProgramCache(
        await createOnnxRuntimeEngine({ threads: 2, optimization: 'basic', target: await target() }),
      );
      executor = new SubnetExecutor(programs);
      for (const partition of PARTITIONS) {
        const gradients = zeroTensors(trainable);
        const result = await executor.step(weights, network, images, targets, sumInto(gradients), {
          partition: partitionOf(partition),
          random: dropout(),
        });
        runs.set(partition, { result, gradients });
      }
    });
    afterAll(() => programs.dispose());

    describe.each(PARTITIONS)('a step in %s', (partition) => {
      const run = (): Run => runs.get(partition)!;

      it('has the logits and the loss of the definition, dropout included', () => {
        expect(masks.get('classifier.dropout.mask')).toContain(0);
        expect(run().result.logits.shape).toEqual([BATCH, 10]);
        expect(run().result.logits.data).toBeAllclose(naive.y.data, { relative: 1e-5 });
        expect(run().result.loss).toBeCloseTo(naiveLoss(naive.y, targets), 5);
      });

      it('has the batch statistics of every batch norm', () => {
        const { statistics } = run().result;
        expect([...statistics.keys()].sort()).toEqual([...naive.statistics.keys()].sort());
        for (const [name, { data }] of statistics) {
          expect(data).toBeAllclose(naive.statistics.get(name)!, { relative: 1e-5, absolute: 1e-6 });
        }
      });
    });

    describe('gradients', () => {
      const gradients = (): SupernetWeights => runs.get('blocks')!.gradients;
      const used = networkParameters(network, 'used').filter(({ role }) => isTrainable(role));

      it.each(used.map(({ name, shape }) => ({ name, shape })))(
        'of $name are finite differences of the loss',
        ({ name, shape }) => {
          const stored = weights.get(name)!.shape;
          // Places in the slice that the subnet uses, as indices of the stored tensor.
          const inside = [...places(stored)]
            .filter(([, at]) => at.every((p, d) => p < shape[d]!))
            .map(([i]) => i);
          const entries = createRandom('entries', name).shuffle(inside).slice(0, 5);
          const expected = entries.map((i) => slope(name, i));
          const found = entries.map((i) => gradients().get(name)!.data[i]!);
          expect(found).toBeAllclose(expected, { relative: 2e-4, absolute: 1e-5 });
        },
      );

      it('are not all but zero where they were compared', () => {
        for (const { name } of used) {
          if (subject.still.test(name)) continue;
          const largest = gradients()
            .get(name)!
            .data.reduce((top, v) => Math.max(top, Math.abs(v)), 0);
          expect(largest, name).toBeGreaterThan(1e-4);
        }
      });

      it('are zero outside the slice and in tensors that the subnet does not use', () => {
        const shapes = new Map(used.map(({ name, shape }) => [name, shape]));
        let outside = 0;
        for (const [name, { shape, data }] of gradients()) {
          const part = shapes.get(name);
          if (part !== undefined) expect(isLeading(shape, part)).toBe(true);
          for (const [i, at] of places(shape)) {
            if (part !== undefined && at.every((p, d) => p < part[d]!)) continue;
            outside++;
            expect(data[i]).toBe(0);
          }
        }
        expect(outside).toBeGreaterThan(500);
      });

      it.each(['network', 'choices'] as const)(
        'are the same in blocks and in %s, up to rounding',
        (other) => {
          const [a, b] = (['blocks', other] as const).map((partition) => runs.get(partition)!);
          expect(a!.result.loss).toBeCloseTo(b!.result.loss, 6);
          for (const [name, { data }] of a!.gradients) {
            expect(data).toBeAllclose(b!.gradients.get(name)!.data, { relative: 1e-4, absolute: 1e-6 });
          }
        },
      );

      it('add up over the subnets of a step', async () => {
        const sum = zeroTensors(trainable);
        const options = { partition: 'blocks', random: dropout() } as const;
        await executor.step(weights, network, images, targets, sumInto(sum), options);
        const other = space.network({ ...space.largest, imageSize: subject.arch.imageSize });
        const alone = zeroTensors(trainable);
        await executor.step(weights, other, images, targets, sumInto(sum), { ...options, random: dropout() });
        await executor.step(weights, other, images, targets, sumInto(alone), {
          ...options,
          random: dropout(),
        });
        for (const [name, { data }] of sum) {
          const expected = alone.get(name)!.data.map((v, i) => v + gradients().get(name)!.data[i]!);
          expect(data).toBeAllclose(expected, { relative: 1e-6, absolute: 1e-7 });
        }
      });
    });

    describe('choices', () => {
      const genes = space.genes;
      it('serve every subnet with one program', async () => {
        const subnets = Array.from({ length: 6 }, (_, i) => ({
          ...sampleArchitecture(genes, createRandom('choices', i)),
          imageSize: subject.arch.imageSize,
        }));
        const { misses } = programs.statistics;
        for (const arch of [space.smallest, space.largest, ...subnets]) {
          const subnet = space.network({ ...arch, imageSize: subject.arch.imageSize });
          const gradients = zeroTensors(trainable);
          const step = (partition: Partition, into: SupernetWeights) =>
            executor.step(weights, subnet, images, targets, sumInto(into), { partition, random: dropout() });
          const { loss, logits, statistics } = await step(choices, gradients);
          expect(programs.statistics.misses).toBe(misses);
          const expected = zeroTensors(trainable);
          const whole = new ProgramCache(
            await createOnnxRuntimeEngine({ threads: 1, optimization: 'basic', target: await target() }),
          );
          const result = await new SubnetExecutor(whole).step(
            weights,
            subnet,
            images,
            targets,
            sumInto(expected),
            {
              partition: 'network',
              random: dropout(),
            },
          );
          await whole.dispose();
          expect(loss).toBeCloseTo(result.loss, 5);
          expect(logits.data).toBeAllclose(result.logits.data, { relative: 1e-4, absolute: 1e-5 });
          expect([...statistics.keys()].sort()).toEqual([...result.statistics.keys()].sort());
          for (const [name, { data }] of gradients) {
            expect(data).toBeAllclose(expected.get(name)!.data, { relative: 2e-4, absolute: 1e-5 });
          }
        }
      });

      it('refuse a subnet that is not among them', async () => {
        const other = SubnetChoices.of(
          space,
          limitGenes(genes, { d: { largest: 1 } }),
          subject.arch.imageSize,
        );
        const smallest = space.network({ ...space.smallest, imageSize: subject.arch.imageSize });
        await expect(executor.forward(weights, smallest, images, other)).rejects.toThrow(
          /Cannot choose block ".*": it must be one of the program: it is not/,
        );
      });
    });

    describe('repetition', () => {
      it.each(PARTITIONS)('gives the same bits in %s', async (partition) => {
        const again = zeroTensors(trainable);
        const result = await executor.step(weights, network, images, targets, sumInto(again), {
          partition: partitionOf(partition),
          random: dropout(),
        });
        expect(result.loss).toBe(runs.get(partition)!.result.loss);
        expect(again).toEqual(runs.get(partition)!.gradients);
      });

      it('draws other masks with other chance', async () => {
        const options = { partition: 'network', random: createRandom('other masks') } as const;
        const { loss } = await executor.step(
          weights,
          network,
          images,
          targets,
          sumInto(zeroTensors(trainable)),
          options,
        );
        expect(Math.abs(loss - runs.get('network')!.result.loss)).toBeGreaterThan(1e-3);
      });

      it('compiles a block once for all subnets and positions with it', async () => {
        const { misses } = programs.statistics;
        const { gradients } = runs.get('blocks')!;
        const shallow = space.network(subject.shallow);
        await executor.step(
          weights,
          shallow,
          images,
          targets,
          sumInto(new Map([...gradients].map(([n, t]) => [n, tensor(t.shape)]))),
          {
            partition: 'blocks',
            random: dropout(),
          },
        );
        expect(programs.statistics.misses).toBe(misses);
      });
    });

    describe('forward', () => {
      it.each(PARTITIONS)('normalises with the batch and drops nothing out, in %s', async (partition) => {
        const { logits, statistics } = await executor.forward(
          weights,
          network,
          images,
          partitionOf(partition),
        );
        const expected = naiveNetwork(network, images, weights, { training: true });
        expect(logits.data).toBeAllclose(expected.y.data, { relative: 1e-5 });
        for (const [name, { data }] of statistics) {
          expect(data).toBeAllclose(expected.statistics.get(name)!, { relative: 1e-5, absolute: 1e-6 });
        }
      });
    });
  });
});

/** Index and coordinates of every element. */
function* places(shape: Tensor['shape']): Generator<[number, number[]]> {
  const strides = shape.map((_, d) => sizeOf(shape.slice(d + 1)));
  for (let i = 0; i < sizeOf(shape); i++) {
    yield [i, shape.map((n, d) => Math.floor(i / strides[d]!) % n)];
  }
}
