import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addToLeading,
  isLeading,
  setInSupernet,
  setLeading,
  sliceLeading,
  subnetTensors,
  sumInto,
} from '../../src/supernet/slicing.js';
import { initialiseWeights, storedParameters, zeroTensors } from '../../src/supernet/weights.js';
import { blockParameters } from '../../src/space/parameters.js';
import { sizeOf, tensor, type Tensor } from '../../src/util/tensor.js';
import { architectures, publishedSpace, smallSpace } from './spaces.js';

/** A full tensor of distinct values and the shape of a leading part, dimensions up to 40 to pass the short runs. */
const parts = fc
  .array(
    fc
      .integer({ min: 0, max: 40 })
      .chain((n) => fc.tuple(fc.constant(n), fc.oneof(fc.constant(n), fc.integer({ min: 0, max: n })))),
    { minLength: 0, maxLength: 4 },
  )
  .filter((dims) => sizeOf(dims.map(([n]) => n)) < 60_000)
  .map((dims) => {
    const shape = dims.map(([n]) => n);
    const full = tensor(
      shape,
      Float32Array.from({ length: sizeOf(shape) }, (_, i) => i + 1),
    );
    return { full, shape: dims.map(([, n]) => n) };
  });

/** Flat offsets in `full` of the elements of a leading part, one index at a time. */
function offsetsOf(full: readonly number[], part: readonly number[]): number[] {
  return Array.from({ length: sizeOf(part) }, (_, flat) => {
    const index: number[] = [];
    for (let dim = part.length - 1; dim >= 0; dim--) {
      index[dim] = flat % part[dim]!;
      flat = Math.floor(flat / part[dim]!);
    }
    return index.reduce((offset, i, dim) => offset * full[dim]! + i, 0);
  });
}

describe('sliceLeading', () => {
  it('equals indexing element by element', () => {
    fc.assert(
      fc.property(parts, ({ full, shape }) => {
        const slice = sliceLeading(full, shape);
        expect(slice.shape).toEqual(shape);
        expect([...slice.data]).toEqual(offsetsOf(full.shape, shape).map((i) => full.data[i]!));
      }),
      { numRuns: 300 },
    );
  });

  it('shares memory exactly where the part is one run', () => {
    const full = tensor([4, 3, 2]);
    expect(sliceLeading(full, [4, 3, 2]).data).toBe(full.data);
    expect(sliceLeading(full, [2, 3, 2]).data.buffer).toBe(full.data.buffer);
    expect(sliceLeading(full, [1, 2, 2]).data.buffer).toBe(full.data.buffer);
    expect(sliceLeading(full, [2, 2, 2]).data.buffer).not.toBe(full.data.buffer);
    expect(sliceLeading(full, [4, 3, 1]).data.buffer).not.toBe(full.data.buffer);
  });

  it.each([[[5, 3]], [[4]], [[4, 3, 1]], [[4, -1]]])('refuses %j of [4, 3]', (shape) => {
    expect(isLeading([4, 3], shape)).toBe(false);
    expect(() => sliceLeading(tensor([4, 3]), shape)).toThrow(RangeError);
    expect(() => addToLeading(tensor([4, 3]), { shape, data: new Float32Array(0) })).toThrow(RangeError);
  });
});

describe('addToLeading and setLeading', () => {
  it('change the leading part by the given amounts and nothing else', () => {
    fc.assert(
      fc.property(parts, ({ full, shape }) => {
        const part = tensor(
          shape,
          Float32Array.from({ length: sizeOf(shape) }, (_, i) => 7 * i - 3),
        );
        const added = [...full.data];
        const set = [...full.data];
        offsetsOf(full.shape, shape).forEach((to, from) => {
          added[to]! += part.data[from]!;
          set[to] = part.data[from]!;
        });
        const copy: Tensor = { shape: full.shape, data: full.data.slice() };
        setLeading(copy, part);
        expect([...copy.data]).toEqual(set);
        addToLeading(full, part);
        expect([...full.data]).toEqual(added);
      }),
      { numRuns: 300 },
    );
  });
});

describe('subnetTensors', () => {
  it.each(['mbv3-tiny', 'mbv3-cifar'])(
    'gives every block of %s what it uses, out of the stored tensors',
    (name) => {
      const space = publishedSpace(name);
      const weights = initialiseWeights(space, 1);
      fc.assert(
        fc.property(architectures(space), (arch) => {
          for (const block of space.network(arch).blocks) {
            const tensors = subnetTensors(weights, block);
            expect([...tensors].map(([local, { shape }]) => [local, shape])).toEqual(
              blockParameters(block, 'used').map((p) => [p.name, p.shape]),
            );
            for (const [local, { shape, data }] of tensors) {
              const full = weights.get(`${block.name}.${local}`)!;
              const last = data.length - 1;
              expect(data[last]).toBe(full.data[offsetsOf(full.shape, shape)[last]!]);
            }
          }
        }),
        { numRuns: 15 },
      );
    },
  );

  it('names the tensor that is missing or too small', () => {
    const space = smallSpace();
    const weights = initialiseWeights(space, 1);
    const block = space.network(space.largest).blocks[1]!;
    expect(() => subnetTensors(weights, block, 'elsewhere')).toThrow('"elsewhere.expand.weight"');
    weights.set(`${block.name}.project.weight`, tensor([1, 1, 1, 1]));
    expect(() => subnetTensors(weights, block)).toThrow(/leading part of \[1, 1, 1, 1\].*"project\.weight"/);
  });
});

describe('sumInto and setInSupernet', () => {
  it('sum what two subnets give back, each in its part', () => {
    const space = smallSpace();
    const gradients = zeroTensors(storedParameters(space));
    const [small, large] = [space.smallest, space.largest].map((arch) => space.network(arch).blocks[1]!);
    const ones = (block: typeof small): Map<string, Tensor> =>
      new Map(
        blockParameters(block!, 'used').map(({ name, shape }) => [
          name,
          tensor(shape, new Float32Array(sizeOf(shape)).fill(1)),
        ]),
      );
    for (const block of [small!, large!])
      for (const [name, part] of ones(block)) sumInto(gradients).add(`${block.name}.${name}`, part);
    const norm = gradients.get('stage0.block0.depthwiseNorm.weight')!;
    const narrow = ones(small).get('depthwiseNorm.weight')!.data.length;
    expect(narrow).toBeLessThan(norm.data.length);
    expect([...norm.data]).toEqual(
      norm.data.length ? [...norm.data].map((_, i) => (i < narrow ? 2 : 1)) : [],
    );
    expect([...gradients.get('stage1.block0.depthwiseNorm.weight')!.data].every((v) => v === 0)).toBe(true);

    setInSupernet(gradients, ones(small), small!.name);
    expect([...norm.data].every((v) => v === 1)).toBe(true);
    expect(() => setInSupernet(gradients, ones(small), 'nowhere')).toThrow('"nowhere.');
  });
});
