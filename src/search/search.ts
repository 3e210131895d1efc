/** The best subnets within limits: what `ofa search` runs. */
import type { Architecture } from '../space/architecture.js';
import type { Costs } from '../space/costs.js';
import { countNetworks } from '../space/enumerate.js';
import { limitGenes, type GeneLimits } from '../space/limits.js';
import type { SearchSpace } from '../space/space.js';
import { UserError } from '../util/errors.js';
import { silentLogger, type Logger } from '../util/logger.js';
import { coverQuantities } from './covered.js';
import type { Found } from './ledger.js';
import {
  accuracyQuantity,
  costQuantities,
  latencyQuantity,
  type BatchFunction,
  type Constraint,
  type Quantity,
} from './quantity.js';
import { runSearch, type RunOptions, type RunResult } from './run.js';
import type { StrategyDefinition } from './strategy.js';
import { strategies, strategyByName } from './strategies/index.js';

/** Spaces of up to so many distinct networks are searched exactly unless a strategy or a smaller budget is given. */
export const EXHAUSTIVE_LIMIT = 200_000;

/** Evaluations when the user does not say and each is a measurement. */
const MEASURED_BUDGET = 100;

export interface ObjectiveSearchOptions extends Pick<
  RunOptions,
  'objectives' | 'recorded' | 'regressor' | 'engine' | 'journal' | 'signal'
> {
  readonly space: SearchSpace;
  /** Searches a part of the space only, e.g. one image size. */
  readonly within?: GeneLimits;
  readonly constraints?: readonly Constraint[];
  /** Neither sought nor limited, but to be known of every network: what they cannot answer (`Quantity.coverage`) is left out. */
  readonly known?: readonly Quantity[];
  /**
   * A name of `strategies`, or one's own. By default exhaustive in small spaces; in others evolution for one objective,
   * NSGA-II for several, and `linas` where evaluating is measuring.
   */
  readonly strategy?: string | StrategyDefinition;
  /** Evaluations of the objectives, at most. Default: the strategy's, or 100 measurements. */
  readonly budget?: number;
  readonly seed?: number;
  readonly logger?: Logger;
}

export interface ObjectiveSearchResult extends RunResult {
  /** Name of the strategy. */
  readonly strategy: string;
  /** What could not be searched, as a quantity cannot answer there: a line for each; [] where all could. */
  readonly leftOut: readonly string[];
}

/**
 * One objective: the best network. Several: the front. What a quantity cannot answer (`Quantity.coverage`) is left out, with a
 * warning. Throws as `runSearch`, and UserError for an unknown strategy, and where nothing can be answered.
 */
export async function searchObjectives(options: ObjectiveSearchOptions): Promise<ObjectiveSearchResult> {
  const {
    space,
    within = {},
    constraints = [],
    known = [],
    seed = 0,
    logger = silentLogger,
    ...rest
  } = options;
  const { objectives, recorded = [] } = options;
  const asked = [...objectives, ...recorded, ...constraints.map(({ quantity }) => quantity), ...known];
  const covered = coverQuantities(limitGenes(space.genes, within), asked);
  const { genes, leftOut } = covered;
  for (const line of leftOut) logger.warn(line);
  const subnets = countNetworks(genes);
  const measured = objectives.some(({ chunk }) => chunk !== undefined);
  const strategy = chooseStrategy(options, subnets, measured);
  const budget =
    options.budget ?? (measured ? Math.min(MEASURED_BUDGET, strategy.defaultBudget) : strategy.defaultBudget);
  const total = subnets < BigInt(Number.MAX_SAFE_INTEGER) ? Math.min(budget, Number(subnets)) : budget;
  const progress = logger.progress(`Searching (${strategy.name})`, total);
  try {
    const limits = [...covered.constraints, ...constraints];
    const result = await runSearch({ ...rest, genes, strategy, constraints: limits, budget, seed, progress });
    return { strategy: strategy.name, leftOut, ...result };
  } finally {
    progress.stop();
  }
}

function chooseStrategy(
  { strategy, budget, objectives }: ObjectiveSearchOptions,
  subnets: bigint,
  measured: boolean,
): StrategyDefinition {
  if (typeof strategy === 'string') {
    const named = strategyByName(strategy);
    if (objectives.length > 1 && !named.capabilities.multiObjective) throw forOneObjective(named, objectives);
    return named;
  }
  if (strategy !== undefined) return strategy;
  if (measured) return strategyByName('linas');
  const small = subnets <= EXHAUSTIVE_LIMIT && (budget === undefined || subnets <= budget);
  return strategyByName(small ? 'exhaustive' : objectives.length > 1 ? 'nsga2' : 'evolution');
}

function forOneObjective({ name }: StrategyDefinition, objectives: readonly Quantity[]): UserError {
  const able = [...strategies.values()].filter(({ capabilities }) => capabilities.multiObjective);
  return new UserError(
    `Cannot search by "${name}": it seeks one objective: there are ${objectives.length} (${objectives.map((objective) => objective.name).join(', ')}); those that seek several are ${able.map((other) => other.name).join(', ')}`,
  );
}

/** What a subnet may cost at most. */
export type SearchConstraints = Partial<Readonly<Record<'latencyMs' | keyof Costs, number>>>;

export interface SearchOptions extends Pick<
  ObjectiveSearchOptions,
  'space' | 'within' | 'strategy' | 'seed' | 'logger' | 'regressor' | 'engine' | 'signal'
> {
  readonly predictAccuracy: BatchFunction;
  readonly predictLatencyMs?: BatchFunction;
  readonly constraints?: SearchConstraints;
  /** Limits on anything else. */
  readonly moreConstraints?: readonly Constraint[];
  /** Seeks the front of accuracy and latency instead of the most accurate subnet. */
  readonly pareto?: boolean;
  /** How many distinct architectures `predictAccuracy` may be asked for. */
  readonly budget?: number;
}

export interface SearchSolution {
  readonly architecture: Architecture;
  /** As `predictAccuracy` gives it. */
  readonly accuracy: number;
  /** Absent without `predictLatencyMs`. */
  readonly latencyMs?: number;
}

export interface SearchResult {
  readonly strategy: string;
  /** As in `ObjectiveSearchResult`. */
  readonly leftOut: readonly string[];
  readonly best: SearchSolution;
  /** Distinct architectures whose accuracy was predicted. */
  readonly evaluated: number;
  /** Distinct architectures that the strategy proposed: their limits were checked. */
  readonly checked: number;
  readonly history: readonly (SearchSolution & { readonly evaluated: number })[];
  /** Most accurate for their latency among all evaluated, fastest first. */
  readonly front: readonly SearchSolution[];
}

/**
 * The most accurate subnet within limits, by predictors. Throws InfeasibleError naming the best value found where no subnet
 * meets the constraints, UserError for an unknown strategy or a latency limit without latencies.
 */
export async function search(options: SearchOptions): Promise<SearchResult> {
  const {
    predictAccuracy,
    predictLatencyMs,
    constraints = {},
    moreConstraints = [],
    pareto,
    ...rest
  } = options;
  const latency = predictLatencyMs && latencyQuantity(predictLatencyMs);
  const quantities = { ...costQuantities(options.space), ...(latency && { latencyMs: latency }) };
  const accuracy = accuracyQuantity(predictAccuracy);
  if (pareto === true && latency === undefined)
    throw new UserError('Cannot search for a front: it needs latencies to trade accuracy against');
  const { strategy, leftOut, best, evaluated, checked, history, front } = await searchObjectives({
    ...rest,
    ...(pareto === true && latency !== undefined
      ? { objectives: [accuracy, latency] }
      : { objectives: [accuracy], ...(latency && { recorded: [latency] }) }),
    constraints: [...moreConstraints, ...limitsOn(quantities, constraints)],
  });
  return {
    strategy,
    leftOut,
    best: solution(best),
    evaluated,
    checked,
    history: history.map((found) => ({ ...solution(found), evaluated: found.evaluated })),
    front: front.map(solution),
  };
}

/** Throws UserError for a quantity that is not there, and for a limit that is not above 0. */
export function limitsOn(
  quantities: Readonly<Partial<Record<string, Quantity>>>,
  limits: Readonly<Record<string, number>>,
): Constraint[] {
  return Object.entries(limits).map(([name, limit]) => {
    const quantity = quantities[name];
    if (quantity === undefined) {
      throw new UserError(
        `Cannot limit ${name}: a limit must be on one of ${Object.keys(quantities).join(', ')}; latencyMs takes a device or a latency table`,
      );
    }
    if (!(limit > 0)) throw new UserError(`Cannot limit ${name}: the limit must be above 0: it is ${limit}`);
    return { quantity, limit };
  });
}

function solution({ architecture, values, recorded }: Found): SearchSolution {
  const [accuracy, latencyMs] = [...values, ...recorded];
  return { architecture, accuracy: accuracy!, ...(latencyMs === undefined ? {} : { latencyMs }) };
}
