/** Functions that answer about many networks at once, as predictors are faster that way. */
import type { Architecture } from '../space/architecture.js';
import type { CoverageFunction } from '../space/coverage.js';
import type { Genotype } from '../space/genotype.js';

/** One number for every architecture, in order. */
export interface BatchFunction {
  (archs: readonly Architecture[]): ArrayLike<number> | Promise<ArrayLike<number>>;
  /** What it can answer: searches stay there. For others it returns Infinity. Absent: all. */
  readonly coverage?: CoverageFunction;
}

export type GenotypeFunction = (
  genotypes: readonly Genotype[],
) => ArrayLike<number> | Promise<ArrayLike<number>>;
