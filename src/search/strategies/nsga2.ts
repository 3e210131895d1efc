/**
 * NSGA-II (Deb, Pratap, Agarwal and Meyarivan, "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE
 * Transactions on Evolutionary Computation, 2002): parents and children compete; fronts are kept one after the other, and of
 * the front that does not fit as a whole those in the emptiest places. Seeks a Pareto front of any number of objectives.
 *
 * Uniform crosses and changes of one gene take the place of the paper's operators for real numbers. The smallest and the
 * largest network are in the first population. No network is proposed twice.
 */
import { Genome, type Genotype } from '../../space/genotype.js';
import { createRandom, type Random } from '../../util/random.js';
import { Brood } from '../breeding.js';
import { crowdingDistances, nonDominatedRanks, type Gains } from '../pareto.js';
import {
  Fresh,
  gainsOf,
  type Candidate,
  type Strategy,
  type StrategyContext,
  type StrategyDefinition,
  type Trial,
} from '../strategy.js';

export interface Nsga2Options {
  /** Networks that are kept. */
  readonly populationSize: number;
  /** Networks drawn at first, and children of a generation; the paper's is the size of the population. */
  readonly children: number;
  /** Share of children that are crosses before they are mutated. */
  readonly crossRate: number;
}

/**
 * The paper's population (section IV-B). Its crosses are 9 of 10: half of that was as good on synthetic landscapes of the
 * ofa-mbv3 space with 2,000 and 10,000 evaluations, and better on NAS-Bench-Macro, where two parents differ in few genes.
 */
export const nsga2Defaults: Nsga2Options = { populationSize: 100, children: 100, crossRate: 0.5 };

/** Infeasible draws for one child before it is repaired. */
const ATTEMPTS = 20;

type Origin = 'anchor' | 'smallest' | 'largest' | 'sample' | 'child';

export interface Individual {
  readonly genotype: Genotype;
  readonly gains: Gains;
}

export interface Ranked extends Individual {
  readonly rank: number;
  readonly crowding: number;
}

/** The best `count` by rank, then by emptiness around them. */
export function select(all: readonly Individual[], count: number): Ranked[] {
  const ranks = nonDominatedRanks(all.map(({ gains }) => gains));
  const kept: Ranked[] = [];
  for (let rank = 0; kept.length < Math.min(count, all.length); rank++) {
    const front = all.filter((_, i) => ranks[i] === rank);
    const distances = crowdingDistances(front.map(({ gains }) => gains));
    const ranked = front.map((individual, i) => ({ ...individual, rank, crowding: distances[i]! }));
    ranked.sort((a, b) => (b.crowding === a.crowding ? 0 : b.crowding - a.crowding));
    kept.push(...ranked.slice(0, count - kept.length));
  }
  return kept;
}

class Nsga2 implements Strategy {
  readonly #chance: Random;
  readonly #genome: Genome;
  readonly #brood: Brood<Origin>;
  #parents: Ranked[] = [];
  #children: Individual[] = [];

  constructor(
    private readonly context: StrategyContext,
    private readonly options: Nsga2Options,
  ) {
    const { seed, genes, anchor } = context;
    this.#chance = createRandom(seed, 'search', 'nsga2');
    this.#genome = new Genome(genes);
    this.#brood = new Brood({
      genome: this.#genome,
      fresh: new Fresh(this.#genome),
      chance: this.#chance,
      anchor,
      budget: context.budget,
      attempts: ATTEMPTS,
      draw: (origin, freedom) => this.#draw(origin, freedom),
      parent: () => (this.#parents.length === 0 ? undefined : this.#chance.pick(this.#parents).genotype),
    });
    this.#brood.open('sample', Math.max(0, options.children - (anchor === undefined ? 2 : 3)));
    if (anchor !== undefined) this.#brood.open('anchor', 1);
    // The ends of most fronts that trade something against a cost.
    this.#brood.open('smallest', 1);
    this.#brood.open('largest', 1);
  }

  async propose(count: number): Promise<Candidate[]> {
    const { genotypeViolations } = this.context;
    const list = await this.#brood.fillFeasible(count, genotypeViolations);
    if (list.length > 0 || this.#children.length === 0) return list;
    this.#parents = select([...this.#parents, ...this.#children], this.options.populationSize);
    this.#children = [];
    this.#brood.open('child', this.options.children);
    return this.#brood.fillFeasible(count, genotypeViolations);
  }

  observe(trials: readonly Trial[]): void {
    this.#brood.observe(trials);
    for (const trial of trials) {
      if (trial.state === 'feasible')
        this.#children.push({
          genotype: trial.genotype,
          gains: gainsOf(this.context.objectives, trial.values),
        });
    }
  }

  #draw(origin: Origin, freedom: number): Genotype {
    const [genome, chance] = [this.#genome, this.#chance];
    if (origin === 'anchor' && freedom === 0) return genome.encode(this.context.anchor!);
    if (origin === 'sample' || (origin !== 'child' && freedom > 0)) return genome.sample(chance);
    if (origin === 'smallest') return new Uint8Array(genome.size);
    if (origin === 'largest') return genome.choices.map((count) => count - 1);
    const first = this.#tournament();
    let child =
      chance.float() < this.options.crossRate ? genome.cross(first, this.#tournament(), chance) : first;
    const steps =
      (genome.key(child) === genome.key(first) || chance.float() < 0.5 ? 1 : 0) + Math.floor(10 * freedom);
    for (let step = 0; step < steps; step++) child = genome.step(child, chance);
    return child;
  }

  /** The better of two. */
  #tournament(): Genotype {
    const [a, b] = [this.#chance.pick(this.#parents), this.#chance.pick(this.#parents)];
    if (a.rank !== b.rank) return (a.rank < b.rank ? a : b).genotype;
    return (a.crowding >= b.crowding ? a : b).genotype;
  }
}

/** With other settings. Throws RangeError for a population below 2. */
export function createNsga2(context: StrategyContext, options: Partial<Nsga2Options> = {}): Strategy {
  const all = { ...nsga2Defaults, ...options };
  if (!Number.isInteger(all.populationSize) || all.populationSize < 2) {
    throw new RangeError(
      `Cannot evolve: populationSize must be a whole number of at least 2: current value is ${all.populationSize}`,
    );
  }
  return new Nsga2(context, all);
}

export const nsga2: StrategyDefinition = {
  name: 'nsga2',
  description: 'NSGA-II: fronts of parents and children are kept, the emptiest places of them first',
  exact: false,
  capabilities: { multiObjective: true, constraints: 'aims', resume: 'replay' },
  // 250 generations, as in the paper.
  defaultBudget: nsga2Defaults.populationSize * 251,
  create(context) {
    const size = Math.min(nsga2Defaults.populationSize, Math.max(10, Math.round(context.budget / 10)));
    return createNsga2(context, { populationSize: size, children: size });
  },
};
