/** An architecture as numbers that a linear rule can weigh: which choice each gene has, and how that grows with the image. */
import type { Architecture } from '../space/architecture.js';
import { geneValue, isActive, type Gene } from '../space/gene.js';

/** So that values are about 1; any constant would do, but it is part of what coefficients mean. */
const REFERENCE_SIZE = 128;

/** Genes that are counted: image size enters as a number, genes with one choice say nothing. */
const counted = (genes: readonly Gene[]): Gene[] =>
  genes.filter(({ list, choices }) => list !== 'imageSize' && choices.length > 1);

/** How many numbers `geneFeatures` gives. */
export function geneFeatureCount(genes: readonly Gene[]): number {
  return 2 + 2 * counted(genes).reduce((total, { choices }) => total + choices.length, 0);
}

/**
 * Side and area of the image, then for every choice of every gene 1 where it is taken (and active, see `isActive`), and
 * the same times the area: work of a block is a constant and a share of the pixels, so a sum over blocks is linear in
 * these. The image size's own choices do not count, so that sizes may be added to a space.
 */
export function geneFeatures(genes: readonly Gene[], arch: Architecture): number[] {
  const side = arch.imageSize / REFERENCE_SIZE;
  const area = side ** 2;
  const values = [side, area];
  for (const gene of counted(genes)) {
    const value = isActive(arch, gene) ? geneValue(arch, gene) : undefined;
    for (const choice of gene.choices) {
      const taken = value === choice ? 1 : 0;
      values.push(taken, taken * area);
    }
  }
  return values;
}

/** One number a gene: its value, 0 where it is not active. What trees split on. */
export function geneValues(genes: readonly Gene[], arch: Architecture): number[] {
  return genes
    .filter(({ choices, list }) => choices.length > 1 || list === 'imageSize')
    .map((gene) => (isActive(arch, gene) ? geneValue(arch, gene) : 0));
}
