import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { architectureKey, canonical } from '../../src/space/canonical.js';
import { geneValue, isActive } from '../../src/space/gene.js';
import { limitGenes } from '../../src/space/limits.js';
import { crossArchitectures, mutateArchitecture, sampleArchitecture } from '../../src/space/sampling.js';
import { checkArchitecture } from '../../src/space/space.js';
import { createRandom } from '../../src/util/random.js';
import { shippedSpace, smallSpace } from '../support/spaces.js';

const seeds = fc.integer({ min: 0, max: 2 ** 31 - 1 });
const spaces = [
  shippedSpace('ofa-mbv3'),
  shippedSpace('mbv3-tiny'),
  smallSpace(),
  shippedSpace('ofa-resnet50'),
];
const rate = fc.double({ min: 0, max: 1, noNaN: true });

describe.each(spaces.map((space) => [space.name, space] as const))('moves in %s', (_, space) => {
  const { genes, name } = space;

  it('sampleArchitecture stays in the space', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        checkArchitecture(genes, sampleArchitecture(genes, createRandom(seed)), name);
      }),
    );
  });

  it('sampleArchitecture gives the same architecture for the same seed', () => {
    const draw = (seed: number) => sampleArchitecture(genes, createRandom(seed, 'sample'));
    expect(draw(3)).toEqual(draw(3));
    expect(new Set([1, 2, 3, 4, 5, 6, 7, 8].map((seed) => JSON.stringify(draw(seed)))).size).toBeGreaterThan(
      4,
    );
  });

  it('mutateArchitecture stays in the space and leaves its argument alone', () => {
    fc.assert(
      fc.property(seeds, rate, rate, (seed, architecture, resolution) => {
        const random = createRandom(seed);
        const arch = sampleArchitecture(genes, random);
        const before = structuredClone(arch);
        checkArchitecture(genes, mutateArchitecture(genes, arch, { architecture, resolution }, random), name);
        expect(arch).toEqual(before);
      }),
    );
  });

  it('mutateArchitecture changes nothing at rate 0', () => {
    const random = createRandom(1);
    const arch = sampleArchitecture(genes, random);
    expect(mutateArchitecture(genes, arch, { architecture: 0, resolution: 0 }, random)).toEqual(arch);
  });

  it('crossArchitectures takes every gene from a parent', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const random = createRandom(seed);
        const [a, b] = [sampleArchitecture(genes, random), sampleArchitecture(genes, random)];
        const child = crossArchitectures(genes, a, b, random);
        for (const gene of genes)
          expect([geneValue(a, gene), geneValue(b, gene)]).toContain(geneValue(child, gene));
      }),
    );
  });

  it('canonical is idempotent, keeps the network, and gives equal networks one key', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const random = createRandom(seed);
        const arch = sampleArchitecture(genes, random);
        const plain = canonical(genes, arch);
        expect(canonical(genes, plain)).toEqual(plain);
        expect(space.network(plain)).toEqual(space.network(arch));
        expect(architectureKey(genes, plain)).toBe(architectureKey(genes, arch));
        // Noise in the inactive genes alone.
        const other = sampleArchitecture(genes, random);
        const lists = { d: [...arch.d], ks: [...arch.ks], e: [...arch.e] };
        for (const gene of genes) {
          if (gene.list === 'ks' || gene.list === 'e')
            lists[gene.list][gene.index] = geneValue(isActive(arch, gene) ? arch : other, gene);
        }
        const twin = { ...arch, ...lists };
        expect(architectureKey(genes, twin)).toBe(architectureKey(genes, arch));
        expect(canonical(genes, twin)).toEqual(plain);
      }),
      { numRuns: 30 },
    );
  });

  it('architectureKey tells different networks apart', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const random = createRandom(seed);
        const [a, b] = [sampleArchitecture(genes, random), sampleArchitecture(genes, random)];
        const [x, y] = [canonical(genes, a), canonical(genes, b)];
        expect(architectureKey(genes, a) === architectureKey(genes, b)).toBe(
          JSON.stringify(x) === JSON.stringify(y),
        );
      }),
    );
  });
});

describe('mutateArchitecture', () => {
  it('throws one coin for kernel and expand of a block, and one for each depth', () => {
    const { genes, largest } = shippedSpace('ofa-mbv3');
    const random = createRandom('coins');
    const draws = 4000;
    let both = 0;
    let one = 0;
    let depth = 0;
    let size = 0;
    for (let i = 0; i < draws; i++) {
      const child = mutateArchitecture(genes, largest, { architecture: 0.3, resolution: 0.5 }, random);
      const k = child.ks[7] !== 7;
      const e = child.e[7] !== 6;
      if (k && e) both++;
      else if (k || e) one++;
      if (child.d[2] !== 4) depth++;
      if (child.imageSize !== 224) size++;
    }
    // A redraw of three values changes one with chance 2/3; together 0.3 * 4/9 and 0.3 * 4/9. Separate coins: 0.04, 0.32.
    expect(Math.abs(both / draws - (0.3 * 4) / 9)).toBeLessThan(0.03);
    expect(Math.abs(one / draws - (0.3 * 4) / 9)).toBeLessThan(0.03);
    expect(Math.abs(depth / draws - 0.2)).toBeLessThan(0.03);
    expect(Math.abs(size / draws - (0.5 * 24) / 25)).toBeLessThan(0.04);
  });
});

describe('sampleArchitecture', () => {
  it('draws every choice equally often', () => {
    const { genes } = shippedSpace('mbv3-tiny');
    const random = createRandom('uniform');
    const archs = Array.from({ length: 3000 }, () => sampleArchitecture(genes, random));
    for (const gene of genes) {
      for (const choice of gene.choices) {
        const share = archs.filter((arch) => geneValue(arch, gene) === choice).length / archs.length;
        expect(Math.abs(share - 1 / gene.choices.length)).toBeLessThan(0.04);
      }
    }
  });
});

describe('limitGenes', () => {
  const { genes, largest } = shippedSpace('ofa-mbv3');

  it('keeps samples within the allowed values', () => {
    const limited = limitGenes(genes, { ks: [7], d: { largest: 1 }, e: [4, 6], imageSize: [160, 224] });
    const random = createRandom(5);
    for (let i = 0; i < 200; i++) {
      const arch = sampleArchitecture(limited, random);
      expect(new Set(arch.ks)).toEqual(new Set([7]));
      expect(arch.d).toEqual(largest.d);
      expect(arch.e.every((e) => e === 4 || e === 6)).toBe(true);
      expect([160, 224]).toContain(arch.imageSize);
    }
  });

  it('opens one more choice a phase, counting from the largest', () => {
    const kernel = (n: number) => limitGenes(genes, { ks: { largest: n } }).find(({ list }) => list === 'ks');
    expect([1, 2, 3, 9].map((n) => kernel(n)?.choices)).toEqual([[7], [5, 7], [3, 5, 7], [3, 5, 7]]);
  });

  it('leaves genes without a choice alone and refuses an impossible limit', () => {
    const fixed = smallSpace([
      { depth: [1], kernel: [3], expand: [2, 3] },
      { depth: [2, 3], kernel: [3, 5], expand: [2] },
    ]);
    const limited = limitGenes(fixed.genes, { d: [3] });
    expect(limited.filter(({ list }) => list === 'd').map(({ choices }) => choices)).toEqual([[1], [3]]);
    expect(() => limitGenes(genes, { ks: [9] })).toThrow(
      new RangeError('Cannot limit ks[0]: at least one of 3, 5, 7 must be allowed: the limit is [9]'),
    );
  });
});
