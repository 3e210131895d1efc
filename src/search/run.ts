/** The loop between a strategy and the quantities: what it proposes goes to the ledger, what that says goes back. */
import { setImmediate } from 'node:timers/promises';
import type { Engine } from '../engine/engine.js';
import type { Architecture } from '../space/architecture.js';
import type { Gene } from '../space/gene.js';
import { Genome, type Genotype } from '../space/genotype.js';
import { UserError } from '../util/errors.js';
import { withFileLock } from '../util/lock.js';
import type { Progress } from '../util/logger.js';
import { checkAbilities } from './abilities.js';
import { findFeasible, infeasible } from './feasibility.js';
import { genesSha256, SearchJournal, type JournalHeader, type RecordedTrial } from './journal.js';
import { Ledger, type Found, type Goals } from './ledger.js';
import { nonDominated } from './pareto.js';
import { violationFunction } from './quantity.js';
import { exactly, withoutQuickWays } from './quickWays.js';
import {
  createCandidate,
  gainsOf,
  type Candidate,
  type Strategy,
  type StrategyContext,
  type StrategyDefinition,
  type Trial,
} from './strategy.js';
import { surrogateOf, type Regressor } from './surrogate.js';

/** Candidates evaluated at once, at most. */
const BATCH = 256;

export interface RunOptions extends Goals {
  readonly genes: readonly Gene[];
  readonly strategy: StrategyDefinition;
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

/**
 * Runs a strategy until the budget is used up or it has nothing left to propose. Deterministic for a seed. Throws
 * InfeasibleError where no network meets the limits (for exact strategies that is proven, for others it is what descents
 * found); UserError for a strategy that cannot do what is asked, and for a journal that does not fit or that another
 * process writes; RangeError for a budget below 1 or a quantity that returns nonsense; the signal's reason when what is
 * done is in the journal.
 */
export function runSearch(options: RunOptions): Promise<RunResult> {
  if (options.journal === undefined) return runAlone(options);
  const purpose = { action: 'keep the search in', instead: 'give another --journal' };
  return withFileLock(options.journal.path, purpose, () => runAlone(options));
}

/** With the lock of the journal. */
async function runAlone(options: RunOptions): Promise<RunResult> {
  const { genes, strategy, constraints, budget, seed, objectives, recorded = [] } = options;
  if (!(budget >= 1)) throw new RangeError(`Cannot search: the budget must be at least 1: it is ${budget}`);
  checkAbilities(options);
  const genome = new Genome(genes);
  const ledger = new Ledger(options, options.signal, genome);
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
