/** All networks of a space: counted, listed, and next to one another. */
import type { Architecture } from './architecture.js';
import { geneValue, hasPosition, isActive, type Gene } from './gene.js';
import { architectureOf } from './space.js';

function product(genes: readonly Gene[]): bigint {
  return genes.reduce((total, { choices }) => total * BigInt(choices.length), 1n);
}

/** All combinations of values, those of inactive genes included. */
export function countGenotypes(genes: readonly Gene[]): bigint {
  return product(genes);
}

/** Combinations that differ in an active gene; for the OFA MobileNetV3 space 7371^5 at each image size. */
export function countNetworks(genes: readonly Gene[]): bigint {
  const depths = genes.filter(({ list }) => list === 'd');
  let total = product(genes.filter(({ list, needs }) => list !== 'd' && needs === undefined));
  for (const depth of depths) {
    const dependent = genes.filter(({ needs }) => needs?.stage === depth.index);
    const variants = depth.choices.map((d) =>
      product(dependent.filter(({ needs }) => hasPosition(needs!, d))),
    );
    total *= variants.reduce((sum, n) => sum + n, 0n);
  }
  return total;
}

/**
 * Every distinct network once, in canonical form (inactive genes at their smallest choice). Genes vary like the digits
 * of a counter, the last one fastest.
 */
export function* enumerateArchitectures(genes: readonly Gene[]): Generator<Architecture, void, void> {
  // Depths first, so that a gene is known to be active when its turn comes.
  const order = [
    ...genes.filter(({ needs }) => needs === undefined),
    ...genes.filter(({ needs }) => needs !== undefined),
  ];
  const position = new Map(order.map((gene, i) => [gene, i]));
  const depthPosition = new Map(order.flatMap((gene, i) => (gene.list === 'd' ? [[gene.index, i]] : [])));
  const digits = new Array<number>(order.length).fill(0);
  const digitOf = (i: number): number => order[i]!.choices[digits[i]!]!;
  const active = ({ needs }: Gene): boolean =>
    needs === undefined || hasPosition(needs, digitOf(depthPosition.get(needs.stage)!));
  for (;;) {
    yield architectureOf(genes, (gene) => digitOf(position.get(gene)!));
    let i = order.length - 1;
    for (; i >= 0; i--) {
      const gene = order[i]!;
      if (active(gene) && digits[i]! + 1 < gene.choices.length) {
        digits[i] = digits[i]! + 1;
        break;
      }
      digits[i] = 0;
    }
    if (i < 0) return;
  }
}

/**
 * The networks one gene away, each a different one. A position that a greater depth switches on has the values that
 * `arch` holds for it.
 */
export function* neighbours(genes: readonly Gene[], arch: Architecture): Generator<Architecture, void, void> {
  for (const changed of genes) {
    if (!isActive(arch, changed)) continue;
    const current = geneValue(arch, changed);
    for (const choice of changed.choices) {
      if (choice === current) continue;
      yield architectureOf(genes, (gene) => (gene === changed ? choice : geneValue(arch, gene)));
    }
  }
}
