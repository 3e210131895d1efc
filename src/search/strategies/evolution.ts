/**
 * OFA's evolutionary search (Cai et al., ICLR 2020, section 3.3; `ofa/nas/search_algorithm/evolution.py:13-140`): the
 * best quarter are parents; half of the children are mutations of one, half are crosses of two.
 *
 * Other than the reference it never loops without end (see `Brood`). No network is proposed twice, so that the population
 * cannot collapse into copies of one, and the last generation counts like the others.
 */
import { Genome, type Genotype } from '../../space/genotype.js';
import { createRandom, type Random } from '../../util/random.js';
import { Brood, freeMutation } from '../breeding.js';
import {
  Fresh,
  scoreOf,
  type Candidate,
  type Strategy,
  type StrategyContext,
  type StrategyDefinition,
  type Trial,
} from '../strategy.js';

export interface EvolutionOptions {
  readonly populationSize: number;
  /** Share of the population that has children, and stays. */
  readonly parentRatio: number;
  /** Share of the children that are mutations; the others are crosses. */
  readonly mutationRatio: number;
  readonly mutationRate: number;
  readonly resolutionMutationRate: number;
  /** Infeasible draws for one place in the population before its last one is repaired. */
  readonly attempts: number;
}

/** The reference's. */
export const evolutionDefaults: EvolutionOptions = {
  populationSize: 100,
  parentRatio: 0.25,
  mutationRatio: 0.5,
  mutationRate: 0.1,
  resolutionMutationRate: 0.5,
  attempts: 100,
};

type Origin = 'anchor' | 'sample' | 'mutation' | 'cross';

interface Individual {
  readonly genotype: Genotype;
  readonly score: number;
}

class Evolution implements Strategy {
  readonly #chance: Random;
  readonly #genome: Genome;
  readonly #brood: Brood<Origin>;
  #parents: Individual[] = [];
  #children: Individual[] = [];

  constructor(
    private readonly context: StrategyContext,
    private readonly options: EvolutionOptions,
  ) {
    const { anchor, seed, genes } = context;
    this.#chance = createRandom(seed, 'search', 'evolution');
    this.#genome = new Genome(genes);
    this.#brood = new Brood({
      genome: this.#genome,
      fresh: new Fresh(this.#genome),
      chance: this.#chance,
      anchor,
      budget: context.budget,
      attempts: options.attempts,
      draw: (origin, freedom) => this.#draw(origin, freedom),
      parent: () => (this.#parents.length === 0 ? undefined : this.#parent()),
    });
    this.#brood.open('sample', options.populationSize - (anchor === undefined ? 0 : 1));
    // So that there is a parent, however few networks meet the limits.
    if (anchor !== undefined) this.#brood.open('anchor', 1);
  }

  async propose(count: number): Promise<Candidate[]> {
    const { genotypeViolations } = this.context;
    const list = await this.#brood.fillFeasible(count, genotypeViolations);
    if (list.length > 0 || this.#children.length === 0) return list;
    this.#nextGeneration();
    return this.#brood.fillFeasible(count, genotypeViolations);
  }

  observe(trials: readonly Trial[]): void {
    this.#brood.observe(trials);
    for (const trial of trials) {
      if (trial.state === 'feasible')
        this.#children.push({ genotype: trial.genotype, score: scoreOf(this.context, trial) });
    }
  }

  #nextGeneration(): void {
    const { populationSize, parentRatio, mutationRatio } = this.options;
    const population = [...this.#parents, ...this.#children].sort((a, b) => b.score - a.score);
    this.#parents = population.slice(0, Math.max(1, Math.round(parentRatio * populationSize)));
    this.#children = [];
    const mutations = Math.round(mutationRatio * populationSize);
    this.#brood.open('cross', populationSize - mutations);
    this.#brood.open('mutation', mutations);
  }

  #parent(): Genotype {
    return this.#chance.pick(this.#parents).genotype;
  }

  #draw(origin: Origin, freedom: number): Genotype {
    const genome = this.#genome;
    const { mutationRate, resolutionMutationRate } = this.options;
    switch (origin) {
      case 'anchor':
        return genome.encode(this.context.anchor!);
      case 'sample':
        return genome.sample(this.#chance);
      case 'mutation':
        return freeMutation(
          genome,
          this.#parent(),
          mutationRate,
          resolutionMutationRate,
          freedom,
          this.#chance,
        );
      case 'cross': {
        const child = genome.cross(this.#parent(), this.#parent(), this.#chance);
        return freedom === 0 ? child : genome.mutate(child, freedom, freedom, this.#chance);
      }
    }
  }
}

/** Evolution with other settings than the reference's. Throws RangeError for settings that make no sense. */
export function createEvolution(context: StrategyContext, options: Partial<EvolutionOptions> = {}): Strategy {
  const all = { ...evolutionDefaults, ...options };
  if (!Number.isInteger(all.populationSize) || all.populationSize < 2) {
    throw new RangeError(
      `Cannot evolve: populationSize must be a whole number of at least 2: current value is ${all.populationSize}`,
    );
  }
  return new Evolution(context, all);
}

export const evolution: StrategyDefinition = {
  name: 'evolution',
  description: "OFA's: parents are the best quarter, children their mutations and crosses",
  exact: false,
  capabilities: { multiObjective: false, constraints: 'aims', resume: 'replay' },
  // 500 generations, as in the reference.
  defaultBudget: evolutionDefaults.populationSize * 501,
  create: (context) => createEvolution(context, { populationSize: populationFor(context.budget) }),
};

/**
 * The reference's population, or a smaller one where the budget would end it after a few generations. Measured on
 * synthetic landscapes of the mbv3-tiny and ofa-mbv3 spaces: 10 to 20 is best for 50 to 200 queries, about 30 for 500 to
 * 1000, and from 3000 on the size matters little.
 */
export function populationFor(budget: number): number {
  return Math.min(evolutionDefaults.populationSize, Math.max(10, Math.round(budget / 25)));
}
