/** The loop between a strategy and the quantities: proposes, checks limits, evaluates what meets them, remembers the best. */
import { setImmediate } from 'node:timers/promises';
import type { Engine } from '../engine/engine.js';
import type { Architecture } from '../space/architecture.js';
import { canonical } from '../space/canonical.js';
import type { Gene } from '../space/gene.js';
import { Genome, type Genotype } from '../space/genotype.js';
import { UserError } from '../util/errors.js';
import type { Progress } from '../util/logger.js';
import { findFeasible, infeasible } from './feasibility.js';
import { genesSha256, SearchJournal, type JournalHeader, type RecordedTrial } from './journal.js';
import { nonDominated, ParetoFront } from './pareto.js';
import {
  candidateFunction,
  evaluateQuantity,
  exactWhereClose,
  violation,
  violationFunction,
  type CandidateFunction,
  type Constraint,
  type Quantity,
} from './quantity.js';
import {
  createCandidate,
  gainsOf,
  type Candidate,
  type FeasibleTrial,
  type Strategy,
  type StrategyContext,
  type StrategyDefinition,
  type Trial,
} from './strategy.js';
import { surrogateOf, type Regressor } from './surrogate.js';

/** Candidates evaluated at once, at most. */
const BATCH = 256;
/** Shares of images add up to a budget but for rounding. */
const ROUNDING = 1e-9;

export interface RunOptions {
  readonly genes: readonly Gene[];
  readonly strategy: StrategyDefinition;
  /** What is sought: one, or several for strategies that can. */
  readonly objectives: readonly Quantity[];
  /** Kept of every network; the front trades the objectives against these, too. */
  readonly recorded?: readonly Quantity[];
  readonly constraints: readonly Constraint[];
  /** Evaluations of the objectives; one on a share of the images counts as that share. Checking limits is free. */
  readonly budget: number;
  readonly seed: number;
  /** For strategies that need a surrogate. */
  readonly regressor?: Regressor;
  /** For strategies that need an engine. */
  readonly engine?: Engine;
  /** Kept while the search runs; where there is one of the same search already, it goes on from there. */
  readonly journal?: { readonly path: string; readonly origin: JournalHeader['origin'] };
  readonly progress?: Progress;
  readonly signal?: AbortSignal;
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

export interface RunResult {
  /** Best in the first objective. */
  readonly best: Found;
  /** What was spent of the budget: distinct networks, or shares of them. */
  readonly evaluated: number;
  /** Distinct candidates that the strategy proposed: their limits were checked. */
  readonly checked: number;
  /** Every improvement of the best, and after how many evaluations it came. */
  readonly history: readonly (Found & { readonly evaluated: number })[];
  /** Non-dominated among all evaluated; by the last quantity, the best of it first. One network for a single quantity. */
  readonly front: readonly Found[];
}

const NOTHING: readonly number[] = [];

/** Field by field: there are many, and a spread costs more than all the rest. */
function feasibleTrial(candidate: Candidate, values: readonly number[]): FeasibleTrial {
  const { architecture, genotype, key, fidelity } = candidate;
  return fidelity === undefined
    ? { architecture, genotype, key, state: 'feasible', values }
    : { architecture, genotype, key, fidelity, state: 'feasible', values };
}

/** What a run has seen so far. */
class Ledger {
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
    private readonly options: RunOptions,
    private readonly genome: Genome,
  ) {
    const { constraints, objectives, recorded = [] } = options;
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
      this.options.signal?.throwIfAborted();
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
    for (const [c, constraint] of this.options.constraints.entries()) {
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
    const { length } = this.options.objectives;
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

/**
 * Runs a strategy until the budget is used up or it has nothing left to propose. Deterministic for a seed. Throws
 * InfeasibleError where no network meets the limits (for exact strategies that is proven, for others it is what descents
 * found); UserError for a strategy that cannot do what is asked, and for a journal that does not fit; RangeError for a
 * budget below 1 or a quantity that returns nonsense; the signal's reason when what is done is in the journal.
 */
export async function runSearch(options: RunOptions): Promise<RunResult> {
  const { genes, strategy, constraints, budget, seed, objectives, recorded = [] } = options;
  if (!(budget >= 1)) throw new RangeError(`Cannot search: the budget must be at least 1: it is ${budget}`);
  checkAbilities(options);
  const genome = new Genome(genes);
  const ledger = new Ledger(options, genome);
  const journal =
    options.journal &&
    (await SearchJournal.open(
      options.journal.path,
      {
        format: 'ofakit.search/1',
        strategy: strategy.name,
        seed,
        // JSON knows no infinity.
        budget: Math.min(budget, Number.MAX_SAFE_INTEGER),
        objectives: objectives.map(({ name, direction }) => ({
          name,
          direction,
        })),
        recorded: recorded.map(({ name }) => name),
        limits: constraints.map(({ quantity: { name }, limit }) => ({ name, limit })),
        genesSha256: genesSha256(genes),
        origin: options.journal.origin,
      },
      genome,
    ));
  const anchor =
    strategy.exact || constraints.length === 0 ? undefined : await findFeasible(genes, constraints, seed);
  const running = strategy.create(contextOf(options, anchor, genome));
  try {
    await loop(options, running, ledger, journal);
  } finally {
    await running.dispose?.();
  }
  // A strategy that met nothing feasible still has the network that was found before it began.
  if (ledger.best === undefined && anchor)
    await ledger.evaluate([createCandidate(genome, genome.encode(anchor))], [], () => Promise.resolve());
  const { evaluated, checked, extremes } = ledger;
  const kept = [...objectives, ...recorded];
  const history = await exactly(kept, ledger.history);
  const front = await exactly(
    kept,
    ledger.front.points().map(({ found }) => found),
  );
  const last = history?.at(-1);
  if (history === undefined || front === undefined)
    return runSearch({ ...options, ...withoutQuickWays(options) });
  if (last === undefined) throw infeasible(constraints, extremes);
  const { evaluated: _, ...best } = last;
  const gains = ({ values, recorded: more }: Found): number[] => gainsOf(kept, [...values, ...more]);
  return { best, evaluated, checked, history, front: nonDominated(front, gains).reverse() };
}

/** Relative difference of a quick answer that is more than rounding. */
const WRONG = 1e-4;

/**
 * The same with the quantities' own answers in place of quick ones. Undefined where these are wrong: sums that were found to
 * agree on some networks and do not on others.
 */
async function exactly<F extends Found>(
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

function withoutQuickWays({
  objectives,
  recorded = [],
  constraints,
}: RunOptions): Pick<RunOptions, 'objectives' | 'recorded' | 'constraints'> {
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

function contextOf(
  { genes, seed, budget, objectives, constraints, regressor, engine, strategy }: RunOptions,
  anchor: Architecture | undefined,
  genome: Genome,
): StrategyContext {
  const functions = constraints.map((constraint) => violationFunction(constraint, genome));
  const genotypeViolations = async (genotypes: readonly Genotype[]): Promise<Float64Array> => {
    const sum = new Float64Array(genotypes.length);
    for (const excess of functions) {
      const values = await excess(genotypes);
      for (let i = 0; i < sum.length; i++) sum[i]! += values[i]!;
    }
    return sum;
  };
  const violations = (archs: readonly Architecture[]): Promise<Float64Array> =>
    genotypeViolations(archs.map((arch) => genome.encode(arch)));
  return {
    genes,
    seed,
    budget,
    objectives: objectives.map(({ name, direction }) => ({ name, direction })),
    ...(anchor && { anchor }),
    ...(constraints.length > 0 && { violations, genotypeViolations }),
    ...(strategy.needs?.surrogate !== undefined &&
      regressor !== undefined && { surrogate: surrogateOf(objectives, regressor) }),
    ...(engine !== undefined && { engine }),
  };
}

async function loop(
  { strategy, budget, progress, signal }: RunOptions,
  running: Strategy,
  ledger: Ledger,
  journal: SearchJournal | undefined,
): Promise<void> {
  const rounds = journal?.rounds ?? [];
  const sharing = strategy.needs?.fidelity === true;
  for (let round = 0; ledger.evaluated < budget; round++) {
    const earlier = rounds[round] ?? [];
    const whole = round < rounds.length - 1 || (round === rounds.length - 1 && journal!.complete);
    const trials: Trial[] = [];
    if (whole && strategy.capabilities.resume === 'observe') {
      for (const recorded of earlier) {
        ledger.accept(recorded);
        trials.push(recorded.trial);
      }
    } else {
      signal?.throwIfAborted();
      const left = budget - ledger.evaluated;
      const candidates = await running.propose(sharing ? BATCH : Math.min(BATCH, Math.ceil(left)));
      if (candidates.length === 0) break;
      checkReplay(earlier, candidates, whole);
      const done = await ledger.evaluate(candidates, earlier, (more) =>
        Promise.resolve(journal?.append(round, candidates.length, more)),
      );
      for (const { trial } of done) trials.push(trial);
    }
    await running.observe(trials);
    progress?.update(ledger.evaluated, `best ${ledger.best?.values[0]!.toPrecision(5) ?? 'none yet'}`);
    if (!whole) await setImmediate();
  }
}

/** Throws UserError where the strategy does not propose what it proposed when the journal was written. */
function checkReplay(
  earlier: readonly RecordedTrial[],
  candidates: readonly Candidate[],
  whole: boolean,
): void {
  const same =
    (whole ? earlier.length === candidates.length : earlier.length <= candidates.length) &&
    earlier.every(
      ({ trial }, i) => trial.key === candidates[i]!.key && trial.fidelity === candidates[i]!.fidelity,
    );
  if (same) return;
  throw new UserError(
    'Cannot go on with the journal: the strategy must propose again what it holds: it proposes other networks; the journal is damaged or was written by another version of ofakit',
  );
}

/** Throws UserError for a strategy that cannot do what is asked of it, or lacks what it needs. */
function checkAbilities({ strategy, objectives, regressor, engine }: RunOptions): void {
  const { name, capabilities, needs = {} } = strategy;
  const cannot = (reason: string): never => {
    throw new UserError(`Cannot search by "${name}": ${reason}`);
  };
  if (objectives.length === 0) cannot('there must be an objective: there is none');
  if (objectives.length > 1 && !capabilities.multiObjective) {
    cannot(
      `it seeks one objective: there are ${objectives.length} (${objectives.map((objective) => objective.name).join(', ')}); strategies for several are marked in docs/search.md`,
    );
  }
  if (needs.surrogate !== undefined && regressor === undefined)
    cannot('it needs a regressor to guess objectives with: there is none');
  if (needs.surrogate === 'variance' && regressor?.variance === false)
    cannot(`it needs a regressor that knows how sure it is: "${regressor.name}" does not`);
  if (needs.fidelity === true && objectives[0]?.evaluateAt === undefined) {
    cannot(
      `it evaluates on a share of the validation images: "${objectives[0]?.name}" can only be asked on all of them`,
    );
  }
  if (needs.engine === true && engine === undefined)
    cannot('it needs an engine to run networks on: there is none');
}
