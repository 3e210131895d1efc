import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { activeKernel } from '../../src/supernet/kernelTransform.js';
import { extractSubnet, staticNetwork, statisticsOf } from '../../src/supernet/subnet.js';
import { initialiseWeights, storedParameters, tensorProblems } from '../../src/supernet/weights.js';
import { networkParameters } from '../../src/space/parameters.js';
import { tensor, type Tensor } from '../../src/util/tensor.js';
import { naiveForward, type Feature } from './naiveForward.js';
import { architectures, randomised, randomTensor, smallSpace } from './spaces.js';

/** Value at kernel c, row y, column x. */
const at = ({ shape, data }: Tensor, c: number, y: number, x: number): number =>
  data[(c * shape[2]! + y) * shape[3]! + x]!;

describe('activeKernel', () => {
  const weight = randomTensor([3, 1, 7, 7], 'kernel');
  const matrices = [randomTensor([25, 25], 'matrix'), randomTensor([9, 9], 'matrix')];

  it('crops the centre, transforms it, and makes the 3x3 from the transformed 5x5', () => {
    const [m5, m3] = matrices as [Tensor, Tensor];
    // Element by element: out[i] = sum over j of v[j] M[i, j].
    const five = (c: number, i: number): number => {
      let sum = 0;
      for (let j = 0; j < 25; j++) {
        sum += at(weight, c, 1 + Math.floor(j / 5), 1 + (j % 5)) * m5.data[i * 25 + j]!;
      }
      return sum;
    };
    const three = (c: number, i: number): number => {
      let sum = 0;
      for (let j = 0; j < 9; j++) {
        sum += five(c, (1 + Math.floor(j / 3)) * 5 + 1 + (j % 3)) * m3.data[i * 9 + j]!;
      }
      return sum;
    };
    const k5 = activeKernel(weight, [7, 5], [m5]);
    const k3 = activeKernel(weight, [7, 5, 3], matrices);
    expect(k5.shape).toEqual([3, 1, 5, 5]);
    expect(k3.shape).toEqual([3, 1, 3, 3]);
    for (let c = 0; c < 3; c++) {
      for (let i = 0; i < 25; i++) expect(k5.data[c * 25 + i]).toBe(Math.fround(five(c, i)));
      for (let i = 0; i < 9; i++) expect(k3.data[c * 9 + i]).toBe(Math.fround(three(c, i)));
    }
  });

  it('multiplies with the transpose: a matrix that sends element j to i has its one at [i, j]', () => {
    const shift = tensor([9, 9]);
    for (let i = 0; i < 9; i++) shift.data[i * 9 + ((i + 1) % 9)] = 1;
    const values = Float32Array.from({ length: 9 }, (_, i) => i);
    const five = tensor([1, 1, 5, 5]);
    values.forEach((v, i) => (five.data[(1 + Math.floor(i / 3)) * 5 + 1 + (i % 3)] = v));
    expect([...activeKernel(five, [5, 3], [shift]).data]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 0]);
  });

  it('is the plain crop without matrices, and with the identity', () => {
    const identity = (n: number): Tensor =>
      tensor(
        [n, n],
        Float32Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0)),
      );
    const cropped = activeKernel(weight, [7, 5, 3], undefined);
    expect(activeKernel(weight, [7, 5, 3], [identity(25), identity(9)])).toEqual(cropped);
    expect(activeKernel(weight, [7, 3], undefined)).toEqual(cropped);
    for (let c = 0; c < 3; c++) expect(at(cropped, c, 0, 2)).toBe(at(weight, c, 2, 4));
    expect(activeKernel(weight, [7], undefined)).toBe(weight);
  });

  it('refuses what does not fit', () => {
    expect(() => activeKernel(weight, [5, 3], undefined)).toThrow(
      'must be [out, in, 5, 5]: it is [3, 1, 7, 7]',
    );
    expect(() => activeKernel(weight, [7, 4], undefined)).toThrow('descend by even steps');
    expect(() => activeKernel(weight, [7, 5, 3], matrices.slice(1))).toThrow(
      '2 matrices are needed: there are 1',
    );
    expect(() => activeKernel(weight, [7, 5], matrices.slice(1))).toThrow('must be [25, 25]: it is [9, 9]');
  });
});

describe('extractSubnet', () => {
  it.each([true, false])(
    'gives the tensors of the static network (kernel transform: %s)',
    (kernelTransform) => {
      const space = smallSpace({}, kernelTransform);
      const weights = randomised(initialiseWeights(space, 3), 'extract');
      fc.assert(
        fc.property(architectures(space), (arch) => {
          const network = space.network(arch);
          const fixed = staticNetwork(network);
          const tensors = extractSubnet(weights, network);
          expect(tensorProblems(tensors, networkParameters(fixed, 'used'))).toEqual([]);
          expect(tensorProblems(tensors, networkParameters(fixed, 'stored'))).toEqual([]);
          expect([...tensors.keys()].some((name) => name.includes('transform'))).toBe(false);
        }),
        { numRuns: 20 },
      );
    },
  );

  it('gives a block that computes what the sliced one does', () => {
    const space = smallSpace({}, false);
    const weights = randomised(initialiseWeights(space, 3), 'forward');
    const arch = { ...space.largest, ks: space.largest.ks.map(() => 3), e: space.largest.e.map(() => 2) };
    const network = space.network(arch);
    const tensors = extractSubnet(weights, network);
    const block = network.blocks[1]!;
    const x: Feature = { channels: 8, size: 6, data: Float64Array.from(randomTensor([8, 6, 6], 'x').data) };
    // 16 of 32 hidden channels: zero what the wide block adds beyond them, at its output and in squeeze-excite.
    const wide = space.network({ ...space.largest, ks: arch.ks }).blocks[1]!;
    const masked = (name: string): Tensor => {
      const { shape, data } = weights.get(`${block.name}.${name}`)!;
      const inner = tensors.get(`${block.name}.${name}`)!.shape;
      const dims = shape.length;
      const kept = data.map((v, i) => {
        const column = dims < 2 ? 0 : Math.floor(i / (dims === 4 ? shape[2]! * shape[3]! : 1)) % shape[1]!;
        return column < (inner[1] ?? 1) ? v : 0;
      });
      return { shape, data: kept };
    };
    const narrow = naiveForward(block, x, (name) => tensors.get(`${block.name}.${name}`)!);
    const full = naiveForward(wide, x, masked);
    narrow.data.forEach((v, i) => expect(v).toBeCloseTo(full.data[i]!, 6));
  });

  it('applies the transforms of its own layer', () => {
    const space = smallSpace();
    const weights = randomised(initialiseWeights(space, 3), 'transforms');
    const tensors = extractSubnet(
      weights,
      space.network({ ...space.largest, ks: space.largest.ks.map(() => 3) }),
    );
    const name = 'stage1.block1.depthwise';
    const matrices = ['7to5', '5to3'].map((step) => weights.get(`${name}.transform${step}`)!);
    expect(tensors.get(`${name}.weight`)).toEqual(
      activeKernel(weights.get(`${name}.weight`)!, [7, 5, 3], matrices),
    );
  });

  it('has memory of its own', () => {
    const space = smallSpace();
    const weights = initialiseWeights(space, 3);
    const tensors = extractSubnet(weights, space.network(space.largest));
    const buffers = new Set([...weights.values()].map(({ data }) => data.buffer));
    for (const { data } of tensors.values()) {
      expect(buffers.has(data.buffer)).toBe(false);
      expect(data.byteLength).toBe(data.buffer.byteLength);
    }
    expect(tensorProblems(tensors, storedParameters(smallSpace({ kernel: [7] })))).toEqual([]);
  });

  it('takes recalibrated statistics: all of them, of the right shapes, and no others', () => {
    const space = smallSpace();
    const weights = initialiseWeights(space, 3);
    const network = space.network(space.smallest);
    const shapes = new Map(networkParameters(network, 'used').map(({ name, shape }) => [name, shape]));
    const statistics = new Map(
      statisticsOf(network).map((name) => [name, randomTensor(shapes.get(name)!, name)]),
    );
    const tensors = extractSubnet(weights, network, statistics);
    for (const [name, value] of tensors) {
      if (/running(Mean|Variance)$/.test(name)) expect(value).toEqual(statistics.get(name));
    }
    expect(statistics.size).toBe([...tensors.keys()].filter((name) => name.includes('.running')).length);

    const broken = (name: string, value?: Tensor): Map<string, Tensor> => {
      const copy = new Map(statistics);
      if (value) copy.set(name, value);
      else copy.delete(name);
      return copy;
    };
    const extract = (given: Map<string, Tensor>) => () => extractSubnet(weights, network, given);
    expect(extract(broken('stem.norm.runningMean'))).toThrow(
      '"stem.norm.runningMean" must be [8]: it is missing',
    );
    expect(extract(broken('stem.norm.runningMean', tensor([9])))).toThrow('must be [8]: it is [9]');
    expect(extract(broken('stem.norm.weight', tensor([8])))).toThrow('there is also "stem.norm.weight"');
  });
});
