/** Restrictions of a space to a part of it: the phases of progressive shrinking, validation grids, searches at one image size. */
import { geneLabel, type Gene, type GeneList } from './gene.js';

/** Values that stay allowed, or how many of the largest ones stay. */
export type GeneLimit = readonly number[] | { readonly largest: number };
export type GeneLimits = Partial<Readonly<Record<GeneList, GeneLimit>>>;

/**
 * The genes of the restricted space, which sampling, mutation, enumeration and counting take like those of a whole one.
 * A gene without a choice (one value) is left as it is, so that e.g. a stage of fixed depth does not stand in the way
 * of a limit meant for the others. Throws RangeError where a limit leaves a gene without any value.
 */
export function limitGenes(genes: readonly Gene[], limits: GeneLimits): Gene[] {
  return genes.map((gene) => {
    const limit = limits[gene.list];
    if (limit === undefined || gene.choices.length === 1) return gene;
    const choices = isCount(limit)
      ? gene.choices.slice(-Math.max(1, Math.trunc(limit.largest)))
      : gene.choices.filter((choice) => limit.includes(choice));
    if (choices.length === 0) {
      throw new RangeError(
        `Cannot limit ${geneLabel(gene)}: at least one of ${gene.choices.join(', ')} must be allowed: the limit is ${JSON.stringify(limit)}`,
      );
    }
    return { ...gene, choices };
  });
}

function isCount(limit: GeneLimit): limit is { readonly largest: number } {
  return !Array.isArray(limit);
}
