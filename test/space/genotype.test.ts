import { describe, expect, it } from 'vitest';
import { architectureKey, canonical } from '../../src/space/canonical.js';
import { enumerateArchitectures, neighbours } from '../../src/space/enumerate.js';
import { Genome } from '../../src/space/genotype.js';
import { limitGenes } from '../../src/space/limits.js';
import { sampleArchitecture } from '../../src/space/sampling.js';
import { createRandom } from '../../src/util/random.js';
import { shippedSpace, smallSpace, tinyResnet } from '../support/spaces.js';

const spaces = [smallSpace(), tinyResnet(), shippedSpace('ofa-mbv3'), shippedSpace('ofa-resnet50')];

describe.each(spaces.map((space) => [space.name, space] as const))('Genome of %s', (_, space) => {
  const { genes } = space;
  const genome = new Genome(genes);
  const random = createRandom(1, space.name);
  const archs = Array.from({ length: 300 }, () => sampleArchitecture(genes, random));

  it('decodes what it encodes', () => {
    for (const arch of archs) expect(genome.decode(genome.encode(arch))).toEqual(arch);
  });

  it('has equal keys where architectures have them', () => {
    // Two genes' worth of inactive values apart, so that some pairs are the same network.
    const pairs = archs.map((arch) => [arch, sampleArchitecture(limitGenes(genes, {}), random)] as const);
    for (const [a, b] of [...pairs, ...archs.map((arch) => [arch, canonical(genes, arch)] as const)]) {
      const equal = architectureKey(genes, a) === architectureKey(genes, b);
      expect(genome.key(genome.encode(a)) === genome.key(genome.encode(b))).toBe(equal);
    }
  });

  it('has the neighbours of the architecture', () => {
    for (const arch of archs.slice(0, 20)) {
      const found = [...genome.neighbours(genome.encode(arch))].map((genotype) => genome.decode(genotype));
      expect(found).toEqual([...neighbours(genes, arch)]);
    }
  });

  it('steps to each neighbour about equally often, and nowhere else', () => {
    const start = genome.encode(archs[0]!);
    const counts = new Map([...genome.neighbours(start)].map((genotype) => [genotype.join(), 0]));
    const draws = 200 * counts.size;
    for (let i = 0; i < draws; i++) {
      const key = genome.step(start, random).join();
      expect(counts.has(key)).toBe(true);
      counts.set(key, counts.get(key)! + 1);
    }
    for (const count of counts.values()) {
      expect(count).toBeGreaterThan(100);
      expect(count).toBeLessThan(300);
    }
  });

  it('takes the genes of a child from its parents', () => {
    const [a, b] = [genome.encode(archs[1]!), genome.encode(archs[2]!)];
    let fromB = 0;
    for (let i = 0; i < 200; i++) {
      const child = genome.cross(a, b, random);
      child.forEach((choice, gene) => expect([a[gene], b[gene]]).toContain(choice));
      fromB += child.filter((choice, gene) => a[gene] !== b[gene] && choice === b[gene]).length;
    }
    const differing = a.filter((choice, gene) => choice !== b[gene]).length;
    expect(fromB / (200 * differing)).toBeGreaterThan(0.4);
    expect(fromB / (200 * differing)).toBeLessThan(0.6);
  });

  it('mutates groups at the rates it is given', () => {
    const start = genome.sample(random);
    expect(genome.mutate(start, 0, 0, random)).toEqual(start);
    const sizes = genes.findIndex(({ list }) => list === 'imageSize');
    const onlySize = Array.from({ length: 400 }, () => genome.mutate(start, 0, 1, random));
    for (const child of onlySize) {
      child.forEach((choice, gene) => {
        if (gene !== sizes) expect(choice).toBe(start[gene]);
      });
    }
    if (genes[sizes]!.choices.length > 1)
      expect(new Set(onlySize.map((child) => child[sizes])).size).toBe(genes[sizes]!.choices.length);
  });

  it('counts differing genes, those that one lacks too', () => {
    for (const arch of archs.slice(0, 50)) {
      const genotype = genome.encode(arch);
      expect(genome.distance(genotype, genome.encode(canonical(genes, arch)))).toBe(0);
      const other = genome.sample(random);
      const [a, b] = [genome.masked(genotype), genome.masked(other)];
      expect(genome.distance(genotype, other)).toBe(a.filter((choice, i) => choice !== b[i]).length);
    }
  });
});

describe('Genome', () => {
  it('tells all networks of a small space apart', () => {
    const { genes } = smallSpace();
    const genome = new Genome(genes);
    const all = [...enumerateArchitectures(genes)];
    expect(new Set(all.map((arch) => genome.key(genome.encode(arch)))).size).toBe(all.length);
  });

  it('refuses a value that is no choice, unless depth switches it off', () => {
    const space = smallSpace();
    const genome = new Genome(space.genes);
    expect(() => genome.encode({ ...space.largest, imageSize: 17 })).toThrow(
      'image_size must be one of 16, 24: current value is 17',
    );
    const shallow = { ...space.smallest, ks: space.smallest.ks.map((k, i) => (i === 1 ? 0 : k)) };
    expect(genome.key(genome.encode(shallow))).toBe(genome.key(genome.encode(space.smallest)));
  });
});
