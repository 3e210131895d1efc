/**
 * The predictor in the loop (Cummings et al., "A hardware-aware framework for accelerating neural architecture search across
 * modalities", arXiv 2205.10358, section 3.2: LINAS): measure some networks, fit predictors on all that was measured, search
 * with them, measure the best that were not yet, and again. Seeks one objective or a whole front.
 *
 * Several at once are chosen one after the other: each time the one that adds most to the hypervolume of what is measured
 * and of those chosen before, at their predicted values.
 */
import { maximise } from '../acquisition.js';
import { gainedVolumes } from '../hypervolumeGain.js';
import { modelBased, type Round } from '../modelBased.js';
import { nonDominatedRanks, type Gains } from '../pareto.js';
import { gainsOf, type StrategyDefinition, type Trial } from '../strategy.js';
import type { Genotype } from '../../space/genotype.js';
import { createNsga2 } from './nsga2.js';

/** A search has about so many fits at most: batches grow with its budget. */
const MOST_FITS = 40;
/** Of the search by predictions, where the space is too large to list. */
const POPULATION = 100;
const GENERATIONS = 15;
/** Networks that hypervolumes are computed for. */
const SHORT_LIST = 300;

export const linas: StrategyDefinition = {
  name: 'linas',
  description: 'measure, fit, search by predictions, measure the best that are new, and again',
  exact: false,
  capabilities: { multiObjective: true, constraints: 'aims', resume: 'observe' },
  needs: { surrogate: 'mean' },
  preferredSurrogate: 'gp',
  defaultBudget: 200,
  create: (context) =>
    modelBased(context, {
      name: 'linas',
      initial: Math.min(50, Math.max(5, Math.round(context.budget / 10))),
      batch: Math.max(1, Math.ceil(Math.min(context.budget, 1e6) / MOST_FITS)),
      choose: (round) =>
        context.objectives.length === 1 ? maximise(round, ({ mean }) => mean) : widen(round),
    }),
};

interface Predicted {
  readonly genotype: Genotype;
  readonly gains: Gains;
}

/** The networks whose predictions would widen the front most, each after those before it. */
async function widen(round: Round): Promise<Genotype[]> {
  const { trials, context, count } = round;
  const listed = await round.pool.list();
  const candidates = listed === undefined ? await searched(round) : await predicted(round, listed);
  const best = shortList(candidates);
  const known = trials.map(({ values }) => gainsOf(context.objectives, values));
  const chosen = gainedVolumes(
    best.map(({ gains }) => gains),
    known,
    count,
  );
  return chosen.map((i) => best[i]!.genotype);
}

async function predicted(
  { model, pool, context }: Round,
  genotypes: readonly Genotype[],
): Promise<Predicted[]> {
  if (genotypes.length === 0) return [];
  const estimates = await model.predict(genotypes.map((genotype) => pool.genome.decode(genotype)));
  return genotypes.map((genotype, i) => ({
    genotype,
    gains: gainsOf(
      context.objectives,
      estimates.map(({ mean }) => mean[i]!),
    ),
  }));
}

/** The first fronts of the candidates. */
function shortList(candidates: readonly Predicted[]): Predicted[] {
  // Sorting all of a listed space by rank costs more than it tells: most are far from the front.
  const ranks = nonDominatedRanks(candidates.map(({ gains }) => gains));
  return candidates
    .map((candidate, i) => ({ candidate, rank: ranks[i]! }))
    .sort((a, b) => a.rank - b.rank)
    .slice(0, SHORT_LIST)
    .map(({ candidate }) => candidate);
}

/** NSGA-II on predictions; all that it met and that may be proposed. */
async function searched(round: Round): Promise<Predicted[]> {
  const { context, pool, chance } = round;
  const strategy = createNsga2(
    { ...context, seed: chance.int(2 ** 31), budget: POPULATION * GENERATIONS },
    { populationSize: POPULATION, children: POPULATION },
  );
  const met: Predicted[] = [];
  for (let evaluated = 0; evaluated < POPULATION * GENERATIONS;) {
    const candidates = await strategy.propose(POPULATION);
    if (candidates.length === 0) break;
    const excess = await context.violations?.(candidates.map(({ architecture }) => architecture));
    const feasible = candidates.filter((_, i) => (excess?.[i] ?? 0) === 0);
    const values = await predicted(
      round,
      feasible.map(({ genotype }) => genotype),
    );
    const byKey = new Map(feasible.map(({ key }, i) => [key, values[i]!]));
    await strategy.observe(
      candidates.map((candidate, i): Trial => {
        const own = byKey.get(candidate.key);
        return own === undefined
          ? { ...candidate, state: 'infeasible', violation: excess![i]! }
          : { ...candidate, state: 'feasible', values: gainsOf(context.objectives, own.gains) };
      }),
    );
    met.push(...values);
    evaluated += feasible.length;
  }
  const free = new Set(await pool.filter(met.map(({ genotype }) => genotype)));
  return met.filter(({ genotype }) => free.has(genotype));
}
