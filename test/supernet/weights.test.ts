import fc from 'fast-check';
import { mean, standardDeviation } from 'simple-statistics';
import { describe, expect, it } from 'vitest';
import {
  initialiseWeights,
  storedParameters,
  tensorProblems,
  zeroTensors,
} from '../../src/supernet/weights.js';
import { isLeading } from '../../src/supernet/slicing.js';
import { networkParameters } from '../../src/space/parameters.js';
import type { SearchSpace } from '../../src/space/space.js';
import { createRandom } from '../../src/util/random.js';
import { sizeOf, tensor } from '../../src/util/tensor.js';
import { architectures, publishedSpace, randomArchitecture, smallSpace } from './spaces.js';

function expectCovered(space: SearchSpace, arch = space.largest): void {
  const stored = new Map(storedParameters(space).map((p) => [p.name, p]));
  for (const { name, role, shape } of networkParameters(space.network(arch), 'used')) {
    expect(stored.get(name)?.role).toBe(role);
    expect(isLeading(stored.get(name)!.shape, shape), name).toBe(true);
  }
}

describe('storedParameters', () => {
  it.each(['mbv3-tiny', 'mbv3-cifar', 'ofa-mbv3'])('holds what any architecture of %s uses', (name) => {
    const space = publishedSpace(name);
    const random = createRandom(3, name);
    for (let i = 0; i < 10; i++) expectCovered(space, randomArchitecture(space, random));
    expectCovered(space, space.smallest);
  });

  it('holds what any architecture of small spaces uses, whatever the choices', () => {
    const subset = (values: number[]): fc.Arbitrary<number[]> => fc.subarray(values, { minLength: 1 });
    const spaces = fc.record({
      depth: subset([1, 2, 3]),
      kernel: subset([3, 5, 7]),
      expand: subset([1, 1.5, 2, 4]),
      squeezeExcite: fc.boolean(),
    });
    fc.assert(
      fc.property(
        spaces.chain((options) => {
          const space = smallSpace(options);
          return fc.tuple(fc.constant(space), architectures(space));
        }),
        ([space, arch]) => expectCovered(space, arch),
      ),
      { numRuns: 60 },
    );
  });

  it('holds what only a smaller architecture has, and the longest of each dimension', () => {
    const space = smallSpace();
    const dense = (name: string, outFeatures: number, inFeatures: number) =>
      ({ kind: 'linear', name, inFeatures, outFeatures, bias: false }) as const;
    // A family whose shallow networks bring a layer of their own and have a dense layer of other proportions.
    const odd: SearchSpace = {
      ...space,
      network: (arch) => {
        const network = space.network(arch);
        const layers = arch.d[0] === 1 ? [dense('a', 3, 2), dense('b', 5, 5)] : [dense('a', 2, 4)];
        const extra = { ...network.blocks[0]!, name: 'extra', layers };
        return { ...network, blocks: [...network.blocks, extra] };
      },
    };
    const known = new Set(storedParameters(space).map(({ name }) => name));
    const added = storedParameters(odd).filter(({ name }) => !known.has(name));
    expect(added.map(({ name, shape }) => [name, shape])).toEqual([
      ['extra.a.weight', [3, 4]],
      ['extra.b.weight', [5, 5]],
    ]);
  });

  it('has the size that the paper gives for OFA MobileNetV3: 7.7 million', () => {
    const trained = storedParameters(publishedSpace('ofa-mbv3')).filter(
      ({ role }) => !role.startsWith('running'),
    );
    const count = trained.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
    expect(count / 1e6).toBeCloseTo(7.7, 1);
  });
});

describe('initialiseWeights', () => {
  const space = smallSpace();
  const weights = initialiseWeights(space, 5);

  it('makes exactly the stored tensors', () => {
    expect(tensorProblems(weights, storedParameters(space))).toEqual([]);
  });

  it('draws from the distributions of the reference', () => {
    const big = initialiseWeights(publishedSpace('ofa-mbv3'), 5);
    const check = (name: string, deviation: number): void => {
      const values = [...big.get(name)!.data];
      const tolerance = (5 * deviation) / Math.sqrt(values.length);
      expect(Math.abs(mean(values)), name).toBeLessThan(tolerance);
      expect(Math.abs(standardDeviation(values) - deviation), name).toBeLessThan(tolerance);
    };
    check('stem.conv.weight', Math.sqrt(2 / (9 * 16)));
    check('stage4.block3.depthwise.weight', Math.sqrt(2 / (49 * 960)));
    check('stage4.block3.project.weight', Math.sqrt(2 / 160));
    check('stage4.block3.squeezeExcite.reduce.weight', Math.sqrt(2 / 240));
    check('classifier.mix.weight', Math.sqrt(2 / 1280));
    const bound = 1 / Math.sqrt(1280);
    check('classifier.linear.weight', bound / Math.sqrt(3));
    const largest = big.get('classifier.linear.weight')!.data.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
    expect(largest).toBeLessThanOrEqual(Math.fround(bound));
    expect(largest).toBeGreaterThan(0.999 * bound);
  });

  it('starts batch norm and transforms as the identity, biases at zero', () => {
    for (const { name, role, shape } of storedParameters(space)) {
      if (role === 'weight') continue;
      const wanted = (i: number): number => {
        if (role === 'normScale' || role === 'runningVariance') return 1;
        return role === 'kernelTransform' && i % (shape[1]! + 1) === 0 ? 1 : 0;
      };
      expect([...weights.get(name)!.data], name).toEqual(
        Array.from({ length: sizeOf(shape) }, (_, i) => wanted(i)),
      );
    }
  });

  it('repeats itself for a seed, and a tensor for its name whatever else there is', () => {
    expect(initialiseWeights(space, 5)).toEqual(weights);
    expect(initialiseWeights(space, 6).get('stem.conv.weight')).not.toEqual(weights.get('stem.conv.weight'));
    const shallow = initialiseWeights(smallSpace({ depth: [1] }), 5);
    for (const [name, value] of shallow) expect(value).toEqual(weights.get(name));
  });
});

describe('tensorProblems', () => {
  it('lists missing, misshapen and unexpected tensors by name', () => {
    const parameters = storedParameters(smallSpace());
    const tensors = zeroTensors(parameters);
    tensors.delete('stem.conv.weight');
    tensors.set('classifier.linear.bias', tensor([6]));
    tensors.set('teacher', tensor([]));
    expect(tensorProblems(tensors, parameters)).toEqual([
      'missing: stem.conv.weight [8, 3, 3, 3]',
      'wrong shape: classifier.linear.bias must be [5]: it is [6]',
      'unexpected: teacher',
    ]);
  });
});
