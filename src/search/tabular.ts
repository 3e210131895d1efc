/** Tables of networks as what a search asks: objectives, and the limit that only networks of the table count. */
import type { TabularBenchmark } from '../accuracy/benchmarks/tabular.js';
import { unknownName } from '../util/errors.js';
import type { Constraint, Quantity } from './quantity.js';
import type { Direction } from './strategy.js';

/** A value of the table; all but `top1` are known at no cost. Throws UserError for a name that not every entry has; RangeError for a network that is not there. */
export function tabularQuantity(benchmark: TabularBenchmark, name: string, direction: Direction): Quantity {
  if (!benchmark.quantities.includes(name))
    throw unknownName(`quantity of benchmark "${benchmark.name}"`, name, benchmark.quantities);
  return {
    name,
    unit: '',
    direction,
    cheap: name !== 'top1',
    evaluate: (archs) =>
      archs.map((arch) => {
        const entry = benchmark.lookup(arch);
        if (entry !== undefined) return entry.values[name]!;
        throw new RangeError(
          `Cannot look up ${JSON.stringify(arch)}: benchmark "${benchmark.name}" must hold it: it does not; limit the search by tabularLimit`,
        );
      }),
  };
}

/** Met by the networks of the table. A search that asks for more is refused by it for free, as by any limit. */
export function tabularLimit(benchmark: TabularBenchmark): Constraint {
  return {
    quantity: {
      name: 'absent',
      unit: '',
      direction: 'minimize',
      evaluate: (archs) => archs.map((arch) => Number(benchmark.lookup(arch) === undefined)),
    },
    limit: 0.5,
  };
}
