/**
 * Benchmarks that are tables: figures of networks that somebody trained or measured, so that strategies and predictors can
 * be judged without training anything.
 */
import type { Architecture } from '../../space/architecture.js';
import { canonical } from '../../space/canonical.js';
import type { Gene } from '../../space/gene.js';
import { Genome } from '../../space/genotype.js';
import { UserError } from '../../util/errors.js';

export interface TabularEntry {
  /** Canonical. */
  readonly architecture: Architecture;
  /**
   * By name: `top1` (fraction), and what else the table has: `macs`, `params`, `latencyMs.DEVICE`, `energyMj.DEVICE`.
   */
  readonly values: Readonly<Record<string, number>>;
}

export interface TabularBenchmark {
  readonly name: string;
  /** A space that holds every network of the table, and perhaps others. */
  readonly genes: readonly Gene[];
  /** Names of the values that every entry has. */
  readonly quantities: readonly string[];
  /** Distinct networks. */
  readonly entries: readonly TabularEntry[];
  /** Undefined for a network that the table lacks. Throws RangeError for an architecture that is not in the space. */
  lookup(arch: Architecture): TabularEntry | undefined;
}

/** Of several entries of one network the first counts. Throws UserError for a table without entries. */
export function tabularBenchmark(
  name: string,
  genes: readonly Gene[],
  entries: Iterable<TabularEntry>,
): TabularBenchmark {
  const genome = new Genome(genes);
  const keyOf = (arch: Architecture): string => genome.key(genome.encode(arch));
  const byKey = new Map<string, TabularEntry>();
  for (const { architecture, values } of entries) {
    const key = keyOf(architecture);
    if (!byKey.has(key)) byKey.set(key, { architecture: canonical(genes, architecture), values });
  }
  const all = [...byKey.values()];
  const [first] = all;
  if (first === undefined) {
    throw new UserError(`Cannot use benchmark "${name}": it must hold networks: there are none`);
  }
  return {
    name,
    genes,
    quantities: Object.keys(first.values).filter((quantity) => all.every(({ values }) => quantity in values)),
    entries: all,
    lookup: (arch) => byKey.get(keyOf(arch)),
  };
}

/** The networks that both hold, with the values of both. Throws UserError where there are none. */
export function joinBenchmarks(one: TabularBenchmark, other: TabularBenchmark): TabularBenchmark {
  return tabularBenchmark(
    `${one.name}+${other.name}`,
    one.genes,
    one.entries.flatMap(({ architecture, values }) => {
      const more = other.lookup(architecture);
      return more === undefined ? [] : [{ architecture, values: { ...more.values, ...values } }];
    }),
  );
}
