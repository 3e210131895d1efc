/** What a search has seen: checks limits, evaluates what meets them, remembers the best. */
import type { Architecture } from '../space/architecture.js';
import { canonical } from '../space/canonical.js';
import type { Genome } from '../space/genotype.js';
import type { RecordedTrial } from './journal.js';
import { ParetoFront } from './pareto.js';
import {
  candidateFunction,
  exactWhereClose,
  violation,
  type CandidateFunction,
  type Constraint,
  type Quantity,
} from './quantity.js';
import { gainsOf, type Candidate, type FeasibleTrial } from './strategy.js';

/** Shares of images add up to a budget but for rounding. */
const ROUNDING = 1e-9;

/** What is sought, and what is asked of networks beside it. */
export interface Goals {
  /** What is sought: one, or several for strategies that can. */
  readonly objectives: readonly Quantity[];
  /** Kept of every network; the front trades the objectives against these, too. */
  readonly recorded?: readonly Quantity[];
  readonly constraints: readonly Constraint[];
}

/** A network that meets all limits. */
export interface Found {
  /** Canonical. */
  readonly architecture: Architecture;
  /** Of the objectives. */
  readonly values: readonly number[];
  /** Of the recorded quantities. */
  readonly recorded: readonly number[];
}

const NOTHING: readonly number[] = [];

/** Field by field: there are many, and a spread costs more than all the rest. */
function feasibleTrial(candidate: Candidate, values: readonly number[]): FeasibleTrial {
  const { architecture, genotype, key, fidelity } = candidate;
  return fidelity === undefined
    ? { architecture, genotype, key, state: 'feasible', values }
    : { architecture, genotype, key, fidelity, state: 'feasible', values };
}

/** Of one run. */
export class Ledger {
  evaluated = 0;
  checked = 0;
  readonly history: (Found & { readonly evaluated: number })[] = [];
  /** Best value of each constraint's quantity, feasible or not. */
  readonly extremes: number[];
  readonly front: ParetoFront<{ readonly gains: readonly number[]; readonly found: Found }>;
  #best = Number.NEGATIVE_INFINITY;
  /** Of the first objective: 1 where more is better. */
  readonly #sign: number;
  readonly #functions = new Map<Quantity, CandidateFunction>();
  readonly #chunk: number;
  readonly #kept: readonly Quantity[];

  constructor(
    private readonly goals: Goals,
    private readonly signal: AbortSignal | undefined,
    private readonly genome: Genome,
  ) {
    const { constraints, objectives, recorded = [] } = goals;
    this.#kept = [...objectives, ...recorded];
    this.#sign = objectives[0]!.direction === 'maximize' ? 1 : -1;
    this.extremes = constraints.map(() => Number.NaN);
    this.front = new ParetoFront(({ gains }) => gains);
    for (const quantity of [...this.#kept, ...constraints.map((constraint) => constraint.quantity)])
      this.#functions.set(quantity, candidateFunction(quantity, genome));
    this.#chunk = Math.min(...this.#kept.map(({ chunk }) => chunk ?? Number.POSITIVE_INFINITY));
  }

  get best(): Found | undefined {
    const last = this.history.at(-1);
    if (last === undefined) return undefined;
    const { evaluated: _, ...found } = last;
    return found;
  }

  /**
   * Limits first; the objectives only of those that meet them, a chunk at a time. `known`: what a journal says of the
   * first candidates. `done`: of every further stretch of candidates.
   */
  async evaluate(
    candidates: readonly Candidate[],
    known: readonly RecordedTrial[],
    done: (trials: readonly RecordedTrial[]) => Promise<void>,
  ): Promise<RecordedTrial[]> {
    const trials: RecordedTrial[] = [...known];
    for (const trial of known) this.accept(trial);
    const asked = candidates.slice(known.length);
    const { excess, columns } = await this.#limits(asked);
    for (let start = 0; start < asked.length;) {
      this.signal?.throwIfAborted();
      let [end, feasible] = [start, 0];
      while (end < asked.length && feasible < this.#chunk) if (excess[end++] === 0) feasible++;
      const stretch = await this.#evaluateStretch(asked, start, end, excess, columns);
      for (const trial of stretch) this.accept(trial);
      trials.push(...stretch);
      await done(stretch);
      start = end;
    }
    return trials;
  }

  /** Counts a trial, and keeps it where it is the best or on the front. */
  accept({ trial, recorded }: RecordedTrial): void {
    this.checked++;
    if (trial.state === 'infeasible') return;
    const { fidelity = 1, values } = trial;
    this.evaluated += fidelity;
    if (Math.abs(this.evaluated - Math.round(this.evaluated)) < ROUNDING)
      this.evaluated = Math.round(this.evaluated);
    if (fidelity < 1) return;
    if (this.#kept.length === 1 && this.#sign * values[0]! <= this.#best) return;
    const gains = gainsOf(this.#kept, recorded.length === 0 ? values : [...values, ...recorded]);
    const better = gains[0]! > this.#best;
    if (!better && !this.front.accepts(gains)) return;
    const found = { architecture: canonical(this.genome.genes, trial.architecture), values, recorded };
    this.front.add({ gains, found });
    if (!better) return;
    this.#best = gains[0]!;
    this.history.push({ ...found, evaluated: this.evaluated });
  }

  /** Of each candidate the sum of relative excesses, and the values that it was computed from. */
  async #limits(
    candidates: readonly Candidate[],
  ): Promise<{ excess: Float64Array; columns: Map<Quantity, ArrayLike<number>> }> {
    const excess = new Float64Array(candidates.length);
    const columns = new Map<Quantity, ArrayLike<number>>();
    for (const [c, constraint] of this.goals.constraints.entries()) {
      const { quantity } = constraint;
      const answers = columns.get(quantity) ?? (await this.#functions.get(quantity)!(candidates));
      const values = await exactWhereClose(constraint, answers, (i) => candidates[i]!.architecture);
      columns.set(quantity, values);
      for (let i = 0; i < candidates.length; i++) {
        excess[i]! += violation(constraint, values[i]!);
        const extreme = this.extremes[c]!;
        if (!(quantity.direction === 'minimize' ? values[i]! >= extreme : values[i]! <= extreme))
          this.extremes[c] = values[i]!;
      }
    }
    return { excess, columns };
  }

  async #evaluateStretch(
    candidates: readonly Candidate[],
    start: number,
    end: number,
    excess: Float64Array,
    columns: ReadonlyMap<Quantity, ArrayLike<number>>,
  ): Promise<RecordedTrial[]> {
    const rows: number[] = [];
    for (let i = start; i < end; i++) if (excess[i] === 0) rows.push(i);
    const feasible = rows.map((row) => candidates[row]!);
    const kept: ArrayLike<number>[] = [];
    for (const quantity of this.#kept) {
      const column = columns.get(quantity);
      kept.push(column ? rows.map((row) => column[row]!) : await this.#functions.get(quantity)!(feasible));
    }
    const { length } = this.goals.objectives;
    const trials: RecordedTrial[] = [];
    for (let i = start, row = 0; i < end; i++) {
      const candidate = candidates[i]!;
      if (excess[i]! > 0) {
        trials.push({
          trial: { ...candidate, state: 'infeasible', violation: excess[i]! },
          recorded: NOTHING,
        });
        continue;
      }
      const values = new Array<number>(length);
      for (let o = 0; o < length; o++) values[o] = kept[o]![row]!;
      const recorded = kept.length === length ? NOTHING : kept.slice(length).map((column) => column[row]!);
      row++;
      trials.push({ trial: feasibleTrial(candidate, values), recorded });
    }
    return trials;
  }
}
