import { describe, expect, it } from 'vitest';
import { distinctBlocks } from '../../src/latency/blocks.js';
import { chooseSubnets } from '../../src/latency/subnets.js';
import { architectureKey } from '../../src/space/canonical.js';
import { networkCosts } from '../../src/space/costs.js';
import { enumerateArchitectures } from '../../src/space/enumerate.js';
import { limitGenes } from '../../src/space/limits.js';
import { blockSignature } from '../../src/space/network.js';
import { listSpaces, loadSpace } from '../../src/space/presets.js';
import { sampleArchitecture } from '../../src/space/sampling.js';
import { createRandom } from '../../src/util/random.js';
import { tinyResnet } from '../support/spaces.js';

describe('distinctBlocks', () => {
  it.each(listSpaces())('has every block of 400 random architectures of %s, each once', async (name) => {
    const space = await loadSpace(name);
    const sizes = space.parameters.imageSizes.slice(0, 3);
    const keys = distinctBlocks(space, sizes).map(({ key }) => key);
    expect(new Set(keys).size).toBe(keys.length);
    const known = new Set(keys);
    const random = createRandom('blocks', name);
    const genes = limitGenes(space.genes, { imageSize: sizes });
    const missing = new Set<string>();
    for (let i = 0; i < 400; i++) {
      for (const { key } of space.network(sampleArchitecture(genes, random)).blocks) {
        if (!known.has(key)) missing.add(key);
      }
    }
    expect([...missing]).toEqual([]);
  });

  it('is exactly what all architectures of a small space build', async () => {
    const space = await loadSpace('mbv3-tiny');
    // One kernel, two expansions at each place; all depths.
    const small = {
      ...space,
      genes: limitGenes(space.genes, { ks: [3], e: { largest: 2 }, imageSize: [28] }),
    };
    const all = new Set<string>();
    for (const arch of enumerateArchitectures(small.genes)) {
      for (const { key } of space.network(arch).blocks) all.add(key);
    }
    const largest = { ...space.largest, ks: space.largest.ks.map(() => 3) };
    const smallest = {
      ...space.smallest,
      ks: space.largest.ks.map(() => 3),
      e: small.genes.filter(({ list }) => list === 'e').map(({ choices }) => choices[0]!),
    };
    const found = distinctBlocks({ ...small, largest, smallest }, [28]).map(({ key }) => key);
    expect(found.sort()).toEqual([...all].sort());
  });

  it('is exactly what all architectures of a small ResNet space build', () => {
    const space = tinyResnet({ imageSizes: [18] });
    const all = new Set<string>();
    for (const arch of enumerateArchitectures(space.genes)) {
      for (const { key } of space.network(arch).blocks) all.add(key);
    }
    expect(
      distinctBlocks(space)
        .map(({ key }) => key)
        .sort(),
    ).toEqual([...all].sort());
  });

  it.each(listSpaces())('gives equal keys in %s to equal computations alone', async (name) => {
    const space = await loadSpace(name);
    const random = createRandom('keys', name);
    const computations = new Map<string, string>();
    const keys = new Map<string, string>();
    for (let i = 0; i < 50; i++) {
      for (const block of space.network(sampleArchitecture(space.genes, random)).blocks) {
        const computation = blockSignature(block);
        expect(computations.get(block.key) ?? computation).toBe(computation);
        expect(keys.get(computation) ?? block.key).toBe(block.key);
        computations.set(block.key, computation);
        keys.set(computation, block.key);
      }
    }
  });

  it('has the 94 blocks of OFA-MobileNetV3 at one image size', async () => {
    // 5 stages x (first, other) x 3 kernels x 3 expansions, and four fixed ones.
    expect(distinctBlocks(await loadSpace('ofa-mbv3', { width: 1.2 }), [224])).toHaveLength(94);
  });

  it('refuses a foreign image size', async () => {
    const space = await loadSpace('mbv3-tiny');
    expect(() => distinctBlocks(space, [17])).toThrow('image_size must be one of');
  });
});

describe('chooseSubnets', () => {
  it('keeps its choice when more are wanted, and never repeats one', async () => {
    const { genes } = await loadSpace('mbv3-tiny');
    const few = chooseSubnets(genes, { fit: 8, check: 6 }, 1);
    const many = chooseSubnets(genes, { fit: 30, check: 6 }, 1);
    const keys = many.map(({ architecture }) => architectureKey(genes, architecture));
    expect(new Set(keys).size).toBe(36);
    expect(many.slice(0, 14)).toEqual(few);
    expect(few.filter(({ role }) => role === 'check')).toHaveLength(6);
  });

  it('spreads those that fit over a wider range of costs than uniform ones', async () => {
    const space = await loadSpace('mbv3-tiny');
    const macs = (role: 'fit' | 'check'): number[] =>
      chooseSubnets(space.genes, { fit: 60, check: 60 }, 1)
        .filter((subnet) => subnet.role === role)
        .map(({ architecture }) => networkCosts(space.network({ ...architecture, imageSize: 28 })).macs)
        .sort((a, b) => a - b);
    const spread = (list: readonly number[]): number => list[54]! / list[5]!;
    expect(spread(macs('fit'))).toBeGreaterThan(1.2 * spread(macs('check')));
  });

  it('ends where a space has fewer subnets than wanted', async () => {
    const { genes, smallest } = await loadSpace('mbv3-tiny');
    const one = genes.map((gene) => ({ ...gene, choices: [gene.choices[0]!] }));
    const chosen = chooseSubnets(one, { fit: 5, check: 5 }, 0);
    expect(chosen).toEqual([{ architecture: smallest, role: 'check' }]);
  });
});
