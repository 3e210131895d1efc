/** Functions that answer about many networks at once, as predictors are faster that way. */
import type { Architecture } from '../space/architecture.js';
import type { Genotype } from '../space/genotype.js';

/** One number for every architecture, in order. */
export type BatchFunction = (
  archs: readonly Architecture[],
) => ArrayLike<number> | Promise<ArrayLike<number>>;

export type GenotypeFunction = (
  genotypes: readonly Genotype[],
) => ArrayLike<number> | Promise<ArrayLike<number>>;
