/** Quick ways to a quantity's value, held against the quantity's own answers when a search is over. */
import type { Found, Goals } from './ledger.js';
import { evaluateQuantity, type Quantity } from './quantity.js';

/** Relative difference of a quick answer that is more than rounding. */
const WRONG = 1e-4;

/**
 * The same with the quantities' own answers in place of quick ones. Undefined where these are wrong: sums that were found to
 * agree on some networks and do not on others.
 */
export async function exactly<F extends Found>(
  kept: readonly Quantity[],
  all: readonly F[],
): Promise<F[] | undefined> {
  const columns: (ArrayLike<number> | undefined)[] = [];
  const archs = all.map(({ architecture }) => architecture);
  for (const quantity of kept)
    columns.push(quantity.forGenome === undefined ? undefined : await evaluateQuantity(quantity, archs));
  let right = true;
  const exact = all.map((found, row) => {
    const own = [...found.values, ...found.recorded].map((value, i) => {
      const wanted = columns[i]?.[row] ?? value;
      if (Math.abs(value - wanted) > WRONG * Math.abs(wanted)) right = false;
      return wanted;
    });
    return { ...found, values: own.slice(0, found.values.length), recorded: own.slice(found.values.length) };
  });
  return right ? exact : undefined;
}

/** The same goals, of quantities that answer for themselves. */
export function withoutQuickWays({ objectives, recorded = [], constraints }: Goals): Goals {
  const slow = new Map<Quantity, Quantity>();
  const without = (quantity: Quantity): Quantity => {
    const { forGenome: _, ...rest } = quantity;
    if (!slow.has(quantity)) slow.set(quantity, rest);
    return slow.get(quantity)!;
  };
  return {
    objectives: objectives.map(without),
    recorded: recorded.map(without),
    constraints: constraints.map(({ quantity, limit }) => ({ quantity: without(quantity), limit })),
  };
}
