/** Which networks to evaluate next, by what a surrogate says of them. */
import type { Genotype } from '../space/genotype.js';
import type { Random } from '../util/random.js';
import type { Round } from './modelBased.js';
import { scoreOf, type FeasibleTrial, type StrategyContext } from './strategy.js';
import type { Estimate } from './surrogate.js';

/** Rounds of selection where a space is too large to list, networks kept in each, and new ones. */
const ROUNDS = 6;
const KEPT = 60;
const CHILDREN = 400;

/** Of one objective: mean such that more is better, and standard deviation (0 where the surrogate has none). */
export interface Belief {
  readonly mean: number;
  readonly deviation: number;
}

/** How much a network would be worth evaluating; more is better. */
export type Acquisition = (belief: Belief) => number;

/** One a network; of the first objective. */
export function beliefsOf({ objectives }: StrategyContext, estimates: readonly Estimate[]): Belief[] {
  const { mean, variance } = estimates[0]!;
  const sign = objectives[0]!.direction === 'maximize' ? 1 : -1;
  return Array.from(mean, (value, i) => ({
    mean: sign * value,
    deviation: Math.sqrt(Math.max(0, variance?.[i] ?? 0)),
  }));
}

/** The trials' best scores first. */
export function byScore(context: StrategyContext, trials: readonly FeasibleTrial[]): FeasibleTrial[] {
  return [...trials].sort((a, b) => scoreOf(context, b) - scoreOf(context, a));
}

/** Networks that differ from one of `parents` in one or two genes, from all of them about equally many. */
export function mutations(
  round: Pick<Round, 'pool' | 'chance'>,
  parents: readonly Genotype[],
  count: number,
): Genotype[] {
  const { genome } = round.pool;
  return Array.from({ length: count }, (_, i) => {
    const child = genome.step(parents[i % parents.length]!, round.chance);
    return round.chance.float() < 0.5 ? child : genome.step(child, round.chance);
  });
}

interface Scored {
  readonly genotype: Genotype;
  readonly score: number;
}

/** Of distinct networks, best first. */
export async function scoreAll(
  { model, pool, context }: Round,
  genotypes: readonly Genotype[],
  acquisition: Acquisition,
): Promise<Scored[]> {
  if (genotypes.length === 0) return [];
  const beliefs = beliefsOf(
    context,
    await model.predict(genotypes.map((genotype) => pool.genome.decode(genotype))),
  );
  return genotypes
    .map((genotype, i) => ({ genotype, score: acquisition(beliefs[i]!) }))
    .sort((a, b) => b.score - a.score);
}

/**
 * Networks of the pool, best by the acquisition first. Exact where the space can be listed; elsewhere by selection among
 * networks near the best trials and near what is found, and some from anywhere.
 */
export async function maximise(round: Round, acquisition: Acquisition): Promise<Genotype[]> {
  const { pool, chance, trials, context } = round;
  const listed = await pool.list();
  if (listed !== undefined)
    return (await scoreAll(round, listed, acquisition)).map(({ genotype }) => genotype);
  const { genome } = pool;
  const found = new Map<string, Scored>();
  const add = async (genotypes: readonly Genotype[]): Promise<void> => {
    const fresh = (await pool.filter(genotypes)).filter((genotype) => !found.has(genome.key(genotype)));
    for (const scored of await scoreAll(round, fresh, acquisition))
      found.set(genome.key(scored.genotype), scored);
  };
  const best = (): Scored[] => [...found.values()].sort((a, b) => b.score - a.score).slice(0, KEPT);
  await add(await pool.sample(CHILDREN, chance));
  const known = byScore(context, trials).slice(0, KEPT / 2);
  await add(
    mutations(
      round,
      known.map(({ genotype }) => genotype),
      CHILDREN,
    ),
  );
  for (let i = 0; i < ROUNDS; i++) {
    const parents = best().map(({ genotype }) => genotype);
    if (parents.length === 0) break;
    await add([...crosses(round, parents, CHILDREN / 2), ...mutations(round, parents, CHILDREN / 2)]);
  }
  return best().map(({ genotype }) => genotype);
}

function crosses({ pool, chance }: Round, parents: readonly Genotype[], count: number): Genotype[] {
  return Array.from({ length: count }, () =>
    pool.genome.cross(chance.pick(parents), chance.pick(parents), chance),
  );
}

/**
 * By how much a normal belief is expected to be above the best value seen, values below it counting 0 (Jones, Schonlau and
 * Welch, "Efficient global optimization of expensive black-box functions", 1998, equation 15).
 */
export function expectedImprovement({ mean, deviation }: Belief, best: number): number {
  const gain = mean - best;
  if (deviation === 0) return Math.max(0, gain);
  const z = gain / deviation;
  return gain * normalDistribution(z) + (deviation * Math.exp(-0.5 * z * z)) / Math.sqrt(2 * Math.PI);
}

/** P(Z <= z), by Abramowitz and Stegun 26.2.17: error below 7.5e-8. */
export function normalDistribution(z: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(z));
  const series = [0.31938153, -0.356563782, 1.781477937, -1.821255978, 1.330274429];
  const tail =
    (Math.exp(-0.5 * z * z) / Math.sqrt(2 * Math.PI)) *
    series.reduceRight((sum, coefficient) => t * (coefficient + sum), 0);
  return z >= 0 ? 1 - tail : tail;
}

/** A value that the belief might turn out to have. */
export function thompsonSample({ mean, deviation }: Belief, chance: Random): number {
  return mean + deviation * chance.normal();
}
