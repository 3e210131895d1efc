import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { networkCosts } from '../../src/space/costs.js';
import { sampleArchitecture } from '../../src/space/sampling.js';
import { createRandom } from '../../src/util/random.js';
import { shippedSpace } from '../support/spaces.js';

describe('network', () => {
  it('does not depend on the networks that were built before', () => {
    const used = ['mbv3-tiny', 'ofa-mbv3'].flatMap((name) => [
      shippedSpace(name),
      shippedSpace(name, { width: 0.5, classes: 3 }),
    ]);
    const random = createRandom('warm up');
    for (let i = 0; i < 200; i++)
      for (const space of used) networkCosts(space.network(sampleArchitecture(space.genes, random)));
    fc.assert(
      fc.property(fc.integer(), fc.constantFrom(...used), (seed, space) => {
        const arch = sampleArchitecture(space.genes, createRandom(seed));
        const { width, classes } = space.file;
        const unused = shippedSpace(space.name, { width, classes }).network(arch);
        expect(space.network(arch)).toEqual(unused);
        expect(networkCosts(space.network(arch))).toEqual(networkCosts(structuredClone(unused)));
      }),
      { numRuns: 60 },
    );
  });

  it('chains its blocks', () => {
    const space = shippedSpace('ofa-mbv3');
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const { blocks } = space.network(sampleArchitecture(space.genes, createRandom(seed)));
        blocks.slice(1).forEach((block, i) => expect(block.input).toEqual(blocks[i]!.output));
        expect(new Set(blocks.map(({ name }) => name)).size).toBe(blocks.length);
      }),
      { numRuns: 30 },
    );
  });

  it.each([
    [{ d: [2, 2, 2, 2, 5] }, 'd[4] must be one of 2, 3, 4: current value is 5'],
    [{ imageSize: 100 }, /image_size must be one of 128, .*: current value is 100/],
    [{ e: [] }, 'e must have 20 values: it has 0'],
  ])('refuses %j', (change, message) => {
    const space = shippedSpace('ofa-mbv3');
    expect(() => space.network({ ...space.largest, ...change })).toThrow(RangeError);
    expect(() => space.network({ ...space.largest, ...change })).toThrow(message);
  });

  it('takes any value where depth switches a block off', () => {
    const space = shippedSpace('ofa-mbv3');
    const arch = { ...space.largest, d: [2, 4, 4, 4, 4] };
    const ks = arch.ks.map((k, i) => (i === 2 || i === 3 ? 99 : k));
    expect(space.network({ ...arch, ks })).toEqual(space.network(arch));
  });
});
