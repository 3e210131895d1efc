/** Searches stay where what they ask can be answered. */
import type { Gene } from '../space/gene.js';
import type { Coverage } from '../space/coverage.js';
import { additiveFunction } from './additive.js';
import type { BatchFunction } from './batch.js';
import type { Constraint, Quantity } from './quantity.js';

export interface Covered {
  /** Those given, without the values for which something cannot be answered. */
  readonly genes: readonly Gene[];
  /** Met by networks that all is known of. */
  readonly constraints: readonly Constraint[];
  /** One line for each quantity that cannot answer for all of the genes. */
  readonly leftOut: readonly string[];
}

/** `missingBlocks`, `missingBlocks.DEVICE`: how much of a network is not known, as a limit of 0. */
function complete({ name }: Quantity, lacks: NonNullable<Coverage['lacks']>): Constraint {
  const [, device] = name.split(/\.(.*)/s);
  const evaluate: BatchFunction = (archs) => archs.map(lacks);
  return {
    quantity: {
      name: device === undefined ? 'missingBlocks' : `missingBlocks.${device}`,
      unit: 'blocks',
      direction: 'minimize',
      cheap: true,
      evaluate,
      forGenome: (genome) => additiveFunction(genome, evaluate),
    },
    limit: 0,
  };
}

/** Where all of `quantities` can be answered. Throws UserError where that is nowhere. */
export function coverQuantities(genes: readonly Gene[], quantities: Iterable<Quantity>): Covered {
  let kept = genes;
  const constraints: Constraint[] = [];
  const leftOut: string[] = [];
  for (const quantity of new Set(quantities)) {
    if (quantity.coverage === undefined) continue;
    const covered = quantity.coverage(kept);
    kept = covered.genes;
    if (covered.lacks !== undefined) constraints.push(complete(quantity, covered.lacks));
    if (covered.leftOut !== undefined) leftOut.push(covered.leftOut);
  }
  return { genes: kept, constraints, leftOut };
}
