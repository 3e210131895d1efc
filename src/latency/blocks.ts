/** Every block a search space can build: what a latency table has to hold. */
import type { Architecture } from '../space/architecture.js';
import { geneValue, type Gene } from '../space/gene.js';
import type { BlockSpec } from '../space/network.js';
import { architectureOf, type SearchSpace } from '../space/space.js';

/** All settings of a group of genes, the other genes as in `arch`. */
function variations(genes: readonly Gene[], group: readonly Gene[], arch: Architecture): Architecture[] {
  let list = [arch];
  for (const gene of group) {
    list = list.flatMap((base) =>
      gene.choices.map((choice) =>
        architectureOf(genes, (other) => (other === gene ? choice : geneValue(base, other))),
      ),
    );
  }
  return list;
}

/**
 * The blocks of one image size. A block depends on few groups of genes (its own kernel and expand, the width of the
 * stage before). Which ones is seen by varying one group at a time from the largest and the smallest architecture. From
 * there on every architecture that showed a new block is varied in the groups that this block depends on, until nothing
 * new appears: so all combinations of what a block depends on are reached, without all architectures.
 */
function blocksAtSize(
  space: SearchSpace,
  genes: readonly Gene[],
  imageSize: number,
  found: Map<string, BlockSpec>,
): void {
  const groups = new Map<string, Gene[]>();
  for (const gene of genes) {
    if (gene.list === 'imageSize' || gene.choices.length < 2) continue;
    groups.set(gene.group, [...(groups.get(gene.group) ?? []), gene]);
  }
  const queue: { arch: Architecture; name: string }[] = [];
  const visit = (arch: Architecture): readonly BlockSpec[] => {
    const { blocks } = space.network(arch);
    for (const block of blocks) {
      if (found.has(block.key)) continue;
      found.set(block.key, block);
      queue.push({ arch, name: block.name });
    }
    return blocks;
  };

  const influences = new Map<string, Set<string>>();
  for (const end of [-1, 0]) {
    const base = { ...architectureOf(genes, ({ choices }) => choices.at(end)!), imageSize };
    const before = new Map(visit(base).map(({ name, key }) => [name, key]));
    for (const [name, group] of groups) {
      for (const arch of variations(genes, group, base)) {
        for (const block of visit(arch)) {
          if (before.get(block.name) === block.key) continue;
          if (!influences.has(block.name)) influences.set(block.name, new Set());
          influences.get(block.name)!.add(name);
        }
      }
    }
  }
  for (let item = queue.pop(); item !== undefined; item = queue.pop()) {
    for (const group of influences.get(item.name) ?? []) {
      for (const arch of variations(genes, groups.get(group)!, item.arch)) visit(arch);
    }
  }
}

/**
 * Every distinct block, by key, of all architectures of a space at `imageSizes` (default: all of the space's), in a
 * fixed order; with `genes`, of a part of the space. Throws RangeError for an image size that the space does not have.
 */
export function distinctBlocks(
  space: SearchSpace,
  imageSizes: readonly number[] = space.parameters.imageSizes,
  genes: readonly Gene[] = space.genes,
): BlockSpec[] {
  const found = new Map<string, BlockSpec>();
  for (const imageSize of imageSizes) blocksAtSize(space, genes, imageSize, found);
  return [...found.values()];
}
