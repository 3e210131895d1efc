/**
 * Strategies judged on tables of networks, where the best network and the whole front are known: how far the best found is
 * from the best there is (its regret) after so many queries, and how much of the front a share of the table gives.
 */
import type { TabularBenchmark } from '../accuracy/benchmarks/tabular.js';
import type { Engine } from '../engine/engine.js';
import { countNetworks } from '../space/enumerate.js';
import type { Gene } from '../space/gene.js';
import { UserError } from '../util/errors.js';
import { hypervolume, type Gains } from './pareto.js';
import type { Constraint, Quantity } from './quantity.js';
import { runSearch } from './run.js';
import type { StrategyDefinition } from './strategy.js';
import type { Regressor } from './surrogate.js';
import { tabularLimit, tabularQuantity } from './tabular.js';

/** Points of accuracy in a fraction. */
const POINTS = 100;

export interface SearchTask {
  /** Of the table. */
  readonly name: string;
  readonly genes: readonly Gene[];
  readonly accuracy: Quantity;
  /** What fronts trade accuracy against; less is better, and it is known of every network. */
  readonly axis: Quantity;
  /** That only networks of the table count; none where the table is the whole space. */
  readonly constraints: readonly Constraint[];
  /** Networks in the table. */
  readonly networks: number;
  /** Greatest and least accuracy of the table. */
  readonly best: number;
  readonly worst: number;
  /** Worst of the table in each: accuracy, and the axis with its sign turned. */
  readonly reference: Gains;
  /** Of the true front, above the reference. */
  readonly volume: number;
}

/** `axis`: a value of the table other than `top1`. Throws UserError for a table on which nothing can be judged. */
export function tabularTask(benchmark: TabularBenchmark, axis: string): SearchTask {
  const { name, genes, entries } = benchmark;
  const accuracy = tabularQuantity(benchmark, 'top1', 'maximize');
  const cost = tabularQuantity(benchmark, axis, 'minimize');
  const points = entries.map(({ values }) => [values['top1']!, -values[axis]!]);
  const reference = [0, 1].map((d) => points.reduce((least, point) => Math.min(least, point[d]!), Infinity));
  const best = points.reduce((most, point) => Math.max(most, point[0]!), Number.NEGATIVE_INFINITY);
  const volume = hypervolume(points, reference);
  if (!(volume > 0)) {
    throw new UserError(
      `Cannot compare strategies on "${name}": its ${entries.length} networks must differ in top1 and in ${axis}: they do not`,
    );
  }
  const whole = countNetworks(genes) === BigInt(entries.length);
  return {
    name,
    genes,
    accuracy,
    axis: cost,
    constraints: whole ? [] : [tabularLimit(benchmark)],
    networks: entries.length,
    best,
    worst: reference[0]!,
    reference,
    volume,
  };
}

export interface StrategyRunOptions {
  readonly strategy: StrategyDefinition;
  readonly seed: number;
  /** Numbers of queries after which the regret is taken. */
  readonly queries: readonly number[];
  /** Queries of a search for the front. */
  readonly frontQueries: number;
  readonly regressor: Regressor;
  readonly engine: Engine;
  readonly signal?: AbortSignal;
}

/** What one seed of one strategy came to. */
export interface StrategyRun {
  readonly strategy: string;
  readonly seed: number;
  /** One a number of queries, in points of accuracy. */
  readonly regretPoints: readonly number[];
  /** Of the front found, as a share of the true one's; null for strategies of one objective. */
  readonly hypervolumeShare: number | null;
}

/** Whether the strategy can be judged on a table: it asks for nothing that a table lacks, and does not list all networks. */
export function canBeJudged({ exact, needs }: StrategyDefinition): boolean {
  return !exact && needs?.fidelity !== true;
}

/**
 * One search for the best network with as many queries as the most of `queries`, and for strategies of several objectives
 * one for the front. Deterministic for its arguments. Throws UserError for a number of queries that the table does not
 * have, and as `runSearch`.
 */
export async function runOnTask(task: SearchTask, options: StrategyRunOptions): Promise<StrategyRun> {
  const { strategy, seed, queries, frontQueries, regressor, engine, signal } = options;
  for (const count of [...queries, frontQueries]) {
    if (Number.isInteger(count) && count >= 1 && count <= task.networks) continue;
    throw new UserError(
      `Cannot compare strategies on "${task.name}": queries must be from 1 to ${task.networks}, as there are ${task.networks} networks: current value is ${count}`,
    );
  }
  const { genes, accuracy, axis, constraints } = task;
  const common = {
    genes,
    strategy,
    constraints,
    regressor,
    engine,
    seed,
    ...(signal === undefined ? {} : { signal }),
  };
  const { history } = await runSearch({ ...common, objectives: [accuracy], budget: Math.max(...queries) });
  const regretPoints = queries.map((count) => {
    const found = history.findLast(({ evaluated }) => evaluated <= count);
    return POINTS * (task.best - (found?.values[0] ?? task.worst));
  });
  if (!strategy.capabilities.multiObjective)
    return { strategy: strategy.name, seed, regretPoints, hypervolumeShare: null };
  const { front } = await runSearch({ ...common, objectives: [accuracy, axis], budget: frontQueries });
  const found = front.map(({ values: [top1, cost] }) => [top1!, -cost!]);
  const hypervolumeShare = hypervolume(found, task.reference) / task.volume;
  return { strategy: strategy.name, seed, regretPoints, hypervolumeShare };
}

/**
 * Against random search: `better` or `worse` where the means differ by more than two standard errors of their difference,
 * else `unclear`.
 */
export type Verdict = 'better' | 'worse' | 'unclear';

export interface Figure {
  readonly mean: number;
  /** Of the mean; null with a single seed. */
  readonly standardError: number | null;
  /** Null for random search itself, and where it was not run. */
  readonly againstRandom: Verdict | null;
}

export interface StrategyFigures {
  readonly strategy: string;
  readonly seeds: number;
  readonly regretPoints: readonly (Figure & { readonly queries: number })[];
  /** Null for strategies of one objective. */
  readonly hypervolumeShare: (Figure & { readonly queries: number }) | null;
  /** Better in every figure; null for random search itself, and where it was not run. */
  readonly beatsRandom: boolean | null;
}

interface Sample {
  readonly mean: number;
  readonly standardError: number | null;
}

function sampleOf(values: readonly number[]): Sample {
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  if (count < 2) return { mean, standardError: null };
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (count - 1);
  return { mean, standardError: Math.sqrt(variance / count) };
}

/** `sign`: 1 where more is better. */
function compare(own: Sample, random: Sample | undefined, sign: number): Verdict | null {
  if (random === undefined) return null;
  if (own.standardError === null || random.standardError === null) return 'unclear';
  const gain = sign * (own.mean - random.mean);
  const doubt = 2 * Math.hypot(own.standardError, random.standardError);
  return gain > doubt ? 'better' : gain < -doubt ? 'worse' : 'unclear';
}

/** Means over the seeds of every strategy, in the order in which strategies appear. */
export function summariseRuns(
  runs: readonly StrategyRun[],
  queries: readonly number[],
  frontQueries: number,
): StrategyFigures[] {
  const byStrategy = new Map<string, StrategyRun[]>();
  for (const run of runs) byStrategy.set(run.strategy, [...(byStrategy.get(run.strategy) ?? []), run]);
  const random = byStrategy.get('random');
  const regretsOf = (list: readonly StrategyRun[], i: number): Sample =>
    sampleOf(list.map(({ regretPoints }) => regretPoints[i]!));
  const volumesOf = (list: readonly StrategyRun[]): Sample | undefined => {
    const shares = list.flatMap(({ hypervolumeShare: share }) => (share === null ? [] : [share]));
    return shares.length === 0 ? undefined : sampleOf(shares);
  };
  return [...byStrategy].map(([strategy, list]) => {
    const baseline = strategy === 'random' ? undefined : random;
    const regretPoints = queries.map((count, i) => {
      const own = regretsOf(list, i);
      return { queries: count, ...own, againstRandom: compare(own, baseline && regretsOf(baseline, i), -1) };
    });
    const volume = volumesOf(list);
    const hypervolumeShare = volume && {
      queries: frontQueries,
      ...volume,
      againstRandom: compare(volume, baseline && volumesOf(baseline), 1),
    };
    const verdicts = [...regretPoints, ...(hypervolumeShare ? [hypervolumeShare] : [])];
    return {
      strategy,
      seeds: list.length,
      regretPoints,
      hypervolumeShare: hypervolumeShare ?? null,
      beatsRandom:
        baseline === undefined ? null : verdicts.every(({ againstRandom }) => againstRandom === 'better'),
    };
  });
}
