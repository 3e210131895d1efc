import { describe, expect, it } from 'vitest';
import { architectureKey, canonical } from '../../src/space/canonical.js';
import {
  countGenotypes,
  countNetworks,
  enumerateArchitectures,
  neighbours,
} from '../../src/space/enumerate.js';
import { geneValue, isActive, type Gene } from '../../src/space/gene.js';
import { limitGenes } from '../../src/space/limits.js';
import { sampleArchitecture } from '../../src/space/sampling.js';
import { architectureOf, checkArchitecture } from '../../src/space/space.js';
import { createRandom } from '../../src/util/random.js';
import { shippedSpace, smallSpace, tinyResnet } from '../support/spaces.js';

/** Every combination of all values, by recursion over the plain list of genes. */
function bruteForce(genes: readonly Gene[]): Map<Gene, number>[] {
  if (genes.length === 0) return [new Map<Gene, number>()];
  const [first, ...rest] = genes;
  const tails = bruteForce(rest);
  return first!.choices.flatMap((choice) => tails.map((tail) => new Map(tail).set(first!, choice)));
}

const cases = [
  ['two stages', smallSpace()],
  ['a fixed stage', smallSpace([{ depth: [1], kernel: [3], expand: [2, 3, 4] }], [16])],
  ['a gap in depth', smallSpace([{ depth: [1, 3], kernel: [3, 5], expand: [2, 3] }], [16, 20, 24])],
  ['bottlenecks', tinyResnet({ imageSizes: [18], width: 2 })],
] as const;

describe.each(cases)('enumerateArchitectures on a space of %s', (_, space) => {
  it('lists the distinct networks of a brute-force listing, each once', () => {
    const all = bruteForce(space.genes).map((values) =>
      architectureOf(space.genes, (gene) => values.get(gene)!),
    );
    expect(countGenotypes(space.genes)).toBe(BigInt(all.length));
    // What makes networks distinct, from what they compute: the blocks with all their layers.
    const networks = new Set(all.map((arch) => JSON.stringify(space.network(arch))));
    const listed = [...enumerateArchitectures(space.genes)];
    expect(listed.length).toBe(networks.size);
    expect(countNetworks(space.genes)).toBe(BigInt(networks.size));
    expect(new Set(listed.map((arch) => JSON.stringify(space.network(arch))))).toEqual(networks);
    for (const arch of listed) expect(canonical(space.genes, arch)).toEqual(arch);
  });

  it('lists the part that limits leave', () => {
    const genes = limitGenes(space.genes, { d: { largest: 1 }, e: [0.5, 2, 3] });
    const inside = [...enumerateArchitectures(space.genes)].filter((arch) =>
      genes.every((gene) => !isActive(arch, gene) || gene.choices.includes(geneValue(arch, gene))),
    );
    expect(new Set([...enumerateArchitectures(genes)].map((arch) => JSON.stringify(arch)))).toEqual(
      new Set(inside.map((arch) => JSON.stringify(arch))),
    );
  });
});

describe('countNetworks', () => {
  it('gives the size of the OFA MobileNetV3 space', () => {
    const { genes } = shippedSpace('ofa-mbv3');
    expect(countNetworks(genes)).toBe(25n * 7371n ** 5n);
    expect(countNetworks(limitGenes(genes, { imageSize: [224] }))).toBe(7371n ** 5n);
    expect(countGenotypes(genes)).toBe(25n * 3n ** 45n);
  });
});

describe('neighbours', () => {
  it('differ in one active gene and are all there', () => {
    const space = shippedSpace('ofa-mbv3');
    const arch = sampleArchitecture(space.genes, createRandom(11));
    const list = [...neighbours(space.genes, arch)];
    const active = space.genes.filter((gene) => isActive(arch, gene));
    expect(list.length).toBe(active.reduce((sum, { choices }) => sum + choices.length - 1, 0));
    for (const other of list) {
      checkArchitecture(space.genes, other, space.name);
      expect(space.genes.filter((gene) => geneValue(other, gene) !== geneValue(arch, gene)).length).toBe(1);
    }
    const keys = new Set(list.map((other) => architectureKey(space.genes, other)));
    expect(keys.size).toBe(list.length);
    expect(keys.has(architectureKey(space.genes, arch))).toBe(false);
  });
});
