/** The loop between a strategy and the quantities: proposes, checks limits, scores what meets them, remembers the best. */
import { setImmediate } from 'node:timers/promises';
import type { Architecture } from '../space/architecture.js';
import { canonical } from '../space/canonical.js';
import type { Gene } from '../space/gene.js';
import type { Progress } from '../util/logger.js';
import { findFeasible, infeasible } from './feasibility.js';
import { ParetoFront } from './pareto.js';
import { evaluateQuantity, violation, type Constraint, type Quantity } from './quantity.js';
import type { Candidate, StrategyDefinition, Trial } from './strategy.js';

/** Candidates evaluated at once, at most. */
const BATCH = 256;

export interface RunOptions {
  readonly genes: readonly Gene[];
  readonly strategy: StrategyDefinition;
  readonly objective: Quantity;
  /** What the front trades the objective against. */
  readonly cost?: Quantity;
  readonly constraints: readonly Constraint[];
  /** Architectures whose objective may be asked; checking limits is free. */
  readonly budget: number;
  readonly seed: number;
  readonly progress?: Progress;
}

/** A network that meets all limits. */
export interface Found {
  /** Canonical. */
  readonly architecture: Architecture;
  readonly objective: number;
  readonly cost?: number;
}

export interface RunResult {
  readonly best: Found;
  /** Distinct networks whose objective was asked: never more than the budget. */
  readonly evaluated: number;
  /** Distinct networks that the strategy proposed: their limits were checked. */
  readonly checked: number;
  /** Every improvement of the best, and after how many evaluations it came. */
  readonly history: readonly (Found & { readonly evaluated: number })[];
  /** Non-dominated among all evaluated, by ascending cost; only the best without a cost. */
  readonly front: readonly Found[];
}

interface FrontPoint {
  readonly cost: number;
  readonly value: number;
  readonly found: Found;
}

/** What a run has seen so far. */
class Journal {
  evaluated = 0;
  checked = 0;
  readonly history: (Found & { readonly evaluated: number })[] = [];
  readonly front = new ParetoFront<FrontPoint>();
  /** Best value of each constraint's quantity, feasible or not. */
  readonly extremes: number[];
  #bestScore = Number.NEGATIVE_INFINITY;

  constructor(private readonly options: RunOptions) {
    this.extremes = options.constraints.map(() => Number.NaN);
  }

  get best(): Found | undefined {
    const last = this.history.at(-1);
    if (last === undefined) return undefined;
    const { evaluated: _, ...found } = last;
    return found;
  }

  /** Limits first; the objective only of those that meet them. */
  async evaluate(candidates: readonly Candidate[]): Promise<Trial[]> {
    const { constraints, objective, cost, genes } = this.options;
    const archs = candidates.map(({ architecture }) => architecture);
    this.checked += candidates.length;
    const excess = new Float64Array(candidates.length);
    const columns = new Map<Quantity, ArrayLike<number>>();
    for (const [c, constraint] of constraints.entries()) {
      const { quantity } = constraint;
      const values = columns.get(quantity) ?? (await evaluateQuantity(quantity, archs));
      columns.set(quantity, values);
      for (let i = 0; i < candidates.length; i++) {
        excess[i]! += violation(constraint, values[i]!);
        const extreme = this.extremes[c]!;
        if (!(quantity.direction === 'minimize' ? values[i]! >= extreme : values[i]! <= extreme))
          this.extremes[c] = values[i]!;
      }
    }
    const rows = candidates.flatMap((_, i) => (excess[i] === 0 ? [i] : []));
    const feasible = rows.map((row) => archs[row]!);
    const scores = await evaluateQuantity(objective, feasible);
    const known = cost && columns.get(cost);
    const costs = known ? rows.map((row) => known[row]!) : cost && (await evaluateQuantity(cost, feasible));
    const sign = objective.direction === 'maximize' ? 1 : -1;
    const trials = candidates.map((candidate, i): Trial => ({
      ...candidate,
      state: 'infeasible',
      violation: excess[i]!,
    }));
    rows.forEach((row, i) => {
      const candidate = candidates[row]!;
      const score = sign * scores[i]!;
      trials[row] = { ...candidate, state: 'feasible', values: [scores[i]!] };
      this.evaluated++;
      const better = score > this.#bestScore;
      const point = costs && { cost: costs[i]!, value: score };
      if (!better && point === undefined) return;
      const found = (): Found => ({
        architecture: canonical(genes, candidate.architecture),
        objective: scores[i]!,
        ...(point && { cost: point.cost }),
      });
      if (better) {
        this.#bestScore = score;
        this.history.push({ ...found(), evaluated: this.evaluated });
      }
      if (point !== undefined && this.front.accepts(point)) this.front.add({ ...point, found: found() });
    });
    return trials;
  }
}

/**
 * Runs a strategy until the budget is used up or it has nothing left to propose. Deterministic for a seed. Throws
 * InfeasibleError where no network meets the limits (for exact strategies that is proven, for others it is what descents
 * found), RangeError for a budget below 1 or a quantity that returns nonsense.
 */
export async function runSearch(options: RunOptions): Promise<RunResult> {
  const { genes, strategy, constraints, budget, seed, progress, cost } = options;
  if (!(budget >= 1)) throw new RangeError(`Cannot search: the budget must be at least 1: it is ${budget}`);
  const journal = new Journal(options);
  const anchor = strategy.exact ? undefined : await findFeasible(genes, constraints, seed);
  const running = strategy.create({
    genes,
    seed,
    budget,
    objectives: [options.objective],
    ...(anchor && { anchor }),
  });
  while (journal.evaluated < budget) {
    const candidates = await running.propose(Math.min(BATCH, budget - journal.evaluated));
    if (candidates.length === 0) break;
    await running.observe(await journal.evaluate(candidates));
    progress?.update(journal.evaluated, `best ${journal.best?.objective.toPrecision(5) ?? 'none yet'}`);
    await setImmediate();
  }
  // A strategy that met nothing feasible still has the network that was found before it began.
  if (journal.best === undefined && anchor) await journal.evaluate([{ architecture: anchor, key: '' }]);
  const { best, evaluated, checked, history, front, extremes } = journal;
  if (best === undefined) throw infeasible(constraints, extremes);
  return {
    best,
    evaluated,
    checked,
    history,
    front: cost === undefined ? [best] : front.points().map(({ found }) => found),
  };
}
