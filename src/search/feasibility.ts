/** Finds a network that meets all limits before a search begins, or says how far the closest one is from them. */
import type { Architecture } from '../space/architecture.js';
import { neighbours } from '../space/enumerate.js';
import type { Gene } from '../space/gene.js';
import { sampleArchitecture } from '../space/sampling.js';
import { architectureOf } from '../space/space.js';
import { InfeasibleError } from '../util/errors.js';
import { createRandom } from '../util/random.js';
import { evaluateQuantity, violation, type Constraint } from './quantity.js';

/** Descents from random architectures, after the one from the smallest. */
const RESTARTS = 3;

interface Place {
  readonly architecture: Architecture;
  /** Of every constraint, in order. */
  readonly values: readonly number[];
}

/** Sum of the relative excesses over all limits; 0 where all are met. */
function totalViolation(constraints: readonly Constraint[], { values }: Place): number {
  return constraints.reduce((sum, constraint, i) => sum + violation(constraint, values[i]!), 0);
}

async function measure(constraints: readonly Constraint[], archs: readonly Architecture[]): Promise<Place[]> {
  const columns: ArrayLike<number>[] = [];
  for (const { quantity } of constraints) columns.push(await evaluateQuantity(quantity, archs));
  return archs.map((architecture, row) => ({
    architecture,
    values: columns.map((column) => column[row]!),
  }));
}

/** Best neighbour by best neighbour until none is better or `badness` is at the goal. Ends, as every step is strictly down. */
async function descend(
  genes: readonly Gene[],
  constraints: readonly Constraint[],
  start: Architecture,
  badness: (place: Place) => number,
  goal: number,
): Promise<Place> {
  let here = (await measure(constraints, [start]))[0]!;
  while (badness(here) > goal) {
    const around = await measure(constraints, [...neighbours(genes, here.architecture)]);
    const next = around.reduce((best, place) => (badness(place) < badness(best) ? place : best), here);
    if (next === here) break;
    here = next;
  }
  return here;
}

/**
 * An architecture that meets all constraints: the smallest one if it does, else what descents from it and from a few
 * random ones find. Throws InfeasibleError naming the limits and the best values found.
 */
export async function findFeasible(
  genes: readonly Gene[],
  constraints: readonly Constraint[],
  seed: number,
): Promise<Architecture> {
  const chance = createRandom(seed, 'search', 'feasibility');
  const smallest = architectureOf(genes, ({ choices }) => choices[0]!);
  const badness = (place: Place): number => totalViolation(constraints, place);
  let closest: Place | undefined;
  for (let run = 0; run <= RESTARTS; run++) {
    const start = run === 0 ? smallest : sampleArchitecture(genes, chance);
    const found = await descend(genes, constraints, start, badness, 0);
    if (badness(found) === 0) return found.architecture;
    if (closest === undefined || badness(found) < badness(closest)) closest = found;
  }
  // How far each limit is on its own, whatever the others: what the user can change.
  const extremes: number[] = [];
  for (const constraint of constraints) {
    const sign = constraint.quantity.direction === 'minimize' ? 1 : -1;
    const badness = (place: Place): number => sign * place.values[0]!;
    const alone = await descend(
      genes,
      [constraint],
      closest!.architecture,
      badness,
      Number.NEGATIVE_INFINITY,
    );
    extremes.push(alone.values[0]!);
  }
  throw infeasible(constraints, extremes, closest!.values);
}

/**
 * `extremes`: the best value found of each quantity alone; `closest`: the values of the network that is closest to
 * meeting all limits.
 */
export function infeasible(
  constraints: readonly Constraint[],
  extremes: readonly number[],
  closest?: readonly number[],
): InfeasibleError {
  const wanted = constraints.map(describe).join(' and ');
  const broken = constraints.flatMap((constraint, i) => {
    if (violation(constraint, extremes[i]!) === 0) return [];
    const { name, direction } = constraint.quantity;
    return [
      `the ${direction === 'minimize' ? 'lowest' : 'highest'} ${name} found is ${show(constraint, extremes[i]!)}`,
    ];
  });
  const reason =
    broken.length > 0
      ? broken.join(', ')
      : closest === undefined
        ? 'each limit can be met, but none were found together'
        : `each limit can be met, but not together: the closest found has ${constraints
            .map((constraint, i) => `${constraint.quantity.name} ${show(constraint, closest[i]!)}`)
            .join(' and ')}`;
  return new InfeasibleError(`Cannot find a subnet with ${wanted}: ${reason}`);
}

function describe({ quantity, limit }: Constraint): string {
  return `${quantity.name} at ${quantity.direction === 'minimize' ? 'most' : 'least'} ${limit} ${quantity.unit}`.trim();
}

/** To four digits, rounded away from the limit, so that the number shown can be given as the next limit. */
function show({ quantity }: Constraint, value: number): string {
  const step = 10 ** (Math.floor(Math.log10(Math.abs(value) || 1)) - 3);
  const rounded =
    (quantity.direction === 'minimize' ? Math.ceil(value / step) : Math.floor(value / step)) * step;
  return `${Number(rounded.toPrecision(6))} ${quantity.unit}`.trim();
}
