/** The most accurate subnet within limits, by predictors: what `ofa search` runs. */
import type { Architecture } from '../space/architecture.js';
import type { Costs } from '../space/costs.js';
import { countNetworks } from '../space/enumerate.js';
import { limitGenes, type GeneLimits } from '../space/limits.js';
import type { SearchSpace } from '../space/space.js';
import { unknownName, UserError } from '../util/errors.js';
import { silentLogger, type Logger } from '../util/logger.js';
import {
  accuracyQuantity,
  costQuantities,
  latencyQuantity,
  type BatchFunction,
  type Constraint,
} from './quantity.js';
import { runSearch, type Found } from './run.js';
import type { StrategyDefinition } from './strategy.js';
import { strategies } from './strategies/index.js';

/** Spaces of up to so many distinct networks are searched exactly unless a strategy or a smaller budget is given. */
export const EXHAUSTIVE_LIMIT = 200_000;

/** What a subnet may cost at most. */
export type SearchConstraints = Partial<Readonly<Record<'latencyMs' | keyof Costs, number>>>;

export interface SearchOptions {
  readonly space: SearchSpace;
  /** Searches a part of the space only, e.g. one image size. */
  readonly within?: GeneLimits;
  readonly predictAccuracy: BatchFunction;
  readonly predictLatencyMs?: BatchFunction;
  readonly constraints?: SearchConstraints;
  /** Limits on anything else. */
  readonly moreConstraints?: readonly Constraint[];
  /** A name of `strategies`; by default exhaustive in small spaces and evolution in others. */
  readonly strategy?: string;
  /** How many distinct architectures `predictAccuracy` may be asked for. */
  readonly budget?: number;
  readonly seed?: number;
  readonly logger?: Logger;
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
 * Throws InfeasibleError naming the best value found where no subnet meets the constraints, UserError for an unknown
 * strategy or a latency limit without latencies.
 */
export async function search(options: SearchOptions): Promise<SearchResult> {
  const { space, within = {}, constraints = {}, predictLatencyMs, seed = 0, logger = silentLogger } = options;
  const genes = limitGenes(space.genes, within);
  const latency = predictLatencyMs && latencyQuantity(predictLatencyMs);
  const quantities = { ...costQuantities(space), ...(latency && { latencyMs: latency }) };
  const all: Constraint[] = [...(options.moreConstraints ?? [])];
  for (const [name, limit] of Object.entries(constraints)) {
    const quantity = (quantities as Partial<Record<string, Constraint['quantity']>>)[name];
    if (quantity === undefined) {
      throw new UserError(
        `Cannot limit ${name}: a limit must be on one of ${Object.keys(quantities).join(', ')}; latencyMs takes a device or a latency table`,
      );
    }
    if (!(limit > 0)) throw new UserError(`Cannot limit ${name}: the limit must be above 0: it is ${limit}`);
    all.push({ quantity, limit });
  }
  const subnets = countNetworks(genes);
  const strategy = chooseStrategy(options.strategy, subnets, options.budget);
  const budget = options.budget ?? strategy.defaultBudget;
  const total = subnets < BigInt(Number.MAX_SAFE_INTEGER) ? Math.min(budget, Number(subnets)) : budget;
  const progress = logger.progress(`Searching (${strategy.name})`, total);
  try {
    const result = await runSearch({
      genes,
      strategy,
      objective: accuracyQuantity(options.predictAccuracy),
      ...(latency && { cost: latency }),
      constraints: all,
      budget,
      seed,
      progress,
    });
    return {
      strategy: strategy.name,
      best: solution(result.best),
      evaluated: result.evaluated,
      checked: result.checked,
      history: result.history.map((found) => ({ ...solution(found), evaluated: found.evaluated })),
      front: result.front.map(solution),
    };
  } finally {
    progress.stop();
  }
}

function solution({ architecture, objective, cost }: Found): SearchSolution {
  return { architecture, accuracy: objective, ...(cost === undefined ? {} : { latencyMs: cost }) };
}

function chooseStrategy(
  name: string | undefined,
  subnets: bigint,
  budget: number | undefined,
): StrategyDefinition {
  const small = subnets <= EXHAUSTIVE_LIMIT && (budget === undefined || subnets <= budget);
  const wanted = name ?? (small ? 'exhaustive' : 'evolution');
  const strategy = strategies.get(wanted);
  if (strategy === undefined) throw unknownName('search strategy', wanted, [...strategies.keys()]);
  return strategy;
}
