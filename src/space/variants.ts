/** What the blocks of a space can be, position by position. */
import type { Architecture } from './architecture.js';
import { geneValue, type Gene } from './gene.js';
import { blockSignature, type BlockSpec } from './network.js';
import { architectureOf, type SearchSpace } from './space.js';

export interface BlockVariants {
  /** The blocks' common name. */
  readonly name: string;
  readonly variants: readonly BlockSpec[];
  /** Whether some networks do without a block here. */
  readonly optional: boolean;
}

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
 * The blocks of all networks that `genes` (those of `space`, perhaps limited) describe at one image size, in the order of
 * the network. A block depends on few groups of genes (its own kernel and expand, the width of the stage before). Which
 * ones is seen by varying one group at a time from the largest and the smallest architecture. From there on every
 * architecture that showed a new block is varied in the groups that this block depends on, until nothing new appears: so
 * all combinations of what a block depends on are reached, without all architectures.
 */
export function blockVariants(
  space: SearchSpace,
  genes: readonly Gene[],
  imageSize: number,
): BlockVariants[] {
  const groups = new Map<string, Gene[]>();
  for (const gene of genes) {
    if (gene.list === 'imageSize' || gene.choices.length < 2) continue;
    groups.set(gene.group, [...(groups.get(gene.group) ?? []), gene]);
  }
  const found = new Map<string, Map<string, BlockSpec>>();
  const queue: { arch: Architecture; name: string }[] = [];
  const optional = new Set<string>();
  let full: readonly string[] = [];
  const visit = (arch: Architecture): ReadonlyMap<string, string> => {
    const { blocks } = space.network(arch);
    const keys = new Map<string, string>();
    for (const block of blocks) {
      const key = blockSignature(block);
      keys.set(block.name, key);
      const known = found.get(block.name) ?? new Map<string, BlockSpec>();
      found.set(block.name, known);
      if (known.has(key)) continue;
      known.set(key, block);
      queue.push({ arch, name: block.name });
    }
    for (const name of full) if (!keys.has(name)) optional.add(name);
    return keys;
  };

  const end = (choose: (gene: Gene) => number): Architecture => ({
    ...architectureOf(genes, choose),
    imageSize,
  });
  const largest = end(({ choices }) => choices[choices.length - 1]!);
  const smallest = end(({ choices }) => choices[0]!);
  full = space.network(largest).blocks.map(({ name }) => name);
  const influences = new Map<string, Set<string>>();
  for (const base of [largest, smallest]) {
    const before = visit(base);
    for (const [group, members] of groups) {
      for (const arch of variations(genes, members, base)) {
        for (const [name, key] of visit(arch)) {
          if (before.get(name) === key) continue;
          influences.set(name, (influences.get(name) ?? new Set()).add(group));
        }
      }
    }
  }
  for (let item = queue.pop(); item !== undefined; item = queue.pop()) {
    for (const group of influences.get(item.name) ?? []) {
      for (const arch of variations(genes, groups.get(group)!, item.arch)) visit(arch);
    }
  }
  return full.map((name) => ({
    name,
    variants: [...found.get(name)!.values()],
    optional: optional.has(name),
  }));
}
