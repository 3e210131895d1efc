/**
 * Regularised evolution (Real et al., "Regularized evolution for image classifier architecture search", AAAI 2019,
 * algorithm 1): the best of a few members drawn at random has a child that differs in one gene; the oldest member dies,
 * however good it is.
 */
import { Genome, type Genotype } from '../../space/genotype.js';
import { createRandom, type Random } from '../../util/random.js';
import { Brood } from '../breeding.js';
import {
  Fresh,
  scoreOf,
  type Candidate,
  type Strategy,
  type StrategyContext,
  type StrategyDefinition,
  type Trial,
} from '../strategy.js';

export interface AgingEvolutionOptions {
  readonly populationSize: number;
  /** Members of which the best is the parent. */
  readonly sampleSize: number;
  /** Children of one population; more than one saves time where evaluating is predicting. */
  readonly children: number;
}

/** Infeasible draws for one child before it is repaired. */
const ATTEMPTS = 20;
/** Children in a row for which nothing new was found, after which it gives up. */
const MAX_FAILURES = 20;

type Origin = 'sample' | 'child';

class AgingEvolution implements Strategy {
  readonly #chance: Random;
  readonly #genome: Genome;
  readonly #brood: Brood<Origin>;
  /** Oldest first. */
  readonly #population: { readonly genotype: Genotype; readonly score: number }[] = [];

  constructor(
    private readonly context: StrategyContext,
    private readonly options: AgingEvolutionOptions,
  ) {
    const { seed, genes, anchor } = context;
    this.#chance = createRandom(seed, 'search', 'aging-evolution');
    this.#genome = new Genome(genes);
    this.#brood = new Brood({
      genome: this.#genome,
      fresh: new Fresh(this.#genome),
      chance: this.#chance,
      anchor,
      budget: context.budget,
      attempts: ATTEMPTS,
      draw: (origin, freedom) => this.#draw(origin, freedom),
      parent: () => (this.#population.length === 0 ? undefined : this.#parent()),
    });
    this.#brood.open('sample', options.populationSize);
  }

  async propose(count: number): Promise<Candidate[]> {
    const { genotypeViolations } = this.context;
    const list = await this.#brood.fillFeasible(count, genotypeViolations);
    for (let failure = 0; list.length === 0 && failure < MAX_FAILURES; failure++) {
      this.#brood.open(this.#population.length === 0 ? 'sample' : 'child', this.options.children);
      list.push(...(await this.#brood.fillFeasible(count, genotypeViolations)));
    }
    return list;
  }

  observe(trials: readonly Trial[]): void {
    this.#brood.observe(trials);
    for (const trial of trials) {
      if (trial.state === 'infeasible') continue;
      this.#population.push({ genotype: trial.genotype, score: scoreOf(this.context, trial) });
      if (this.#population.length > this.options.populationSize) this.#population.shift();
    }
  }

  #parent(): Genotype {
    let best = this.#chance.pick(this.#population);
    for (let i = 1; i < this.options.sampleSize; i++) {
      const other = this.#chance.pick(this.#population);
      if (other.score > best.score) best = other;
    }
    return best.genotype;
  }

  #draw(origin: Origin, freedom: number): Genotype {
    if (origin === 'sample' || this.#population.length === 0) return this.#genome.sample(this.#chance);
    let child = this.#genome.step(this.#parent(), this.#chance);
    // Known: one step more for every tenth that freedom rises.
    for (let steps = Math.floor(10 * freedom); steps > 0; steps--)
      child = this.#genome.step(child, this.#chance);
    return child;
  }
}

/** With other settings. Throws RangeError for a population or sample below 1. */
export function createAgingEvolution(
  context: StrategyContext,
  options: Partial<AgingEvolutionOptions> = {},
): Strategy {
  const all = { ...settingsFor(context.budget), ...options };
  if (!(all.populationSize >= 1 && all.sampleSize >= 1 && all.children >= 1)) {
    throw new RangeError(
      `Cannot evolve: population, sample and children must be at least 1: they are ${all.populationSize}, ${all.sampleSize} and ${all.children}`,
    );
  }
  return new AgingEvolution(context, all);
}

/** The paper's population of 100 and sample of 25, smaller where the budget would end it after a few generations. */
function settingsFor(budget: number): AgingEvolutionOptions {
  const populationSize = Math.min(100, Math.max(10, Math.round(budget / 10)));
  return {
    populationSize,
    sampleSize: Math.max(2, Math.round(populationSize / 4)),
    children: Math.min(25, Math.max(1, Math.round(budget / 2000))),
  };
}

export const agingEvolution: StrategyDefinition = {
  name: 'aging-evolution',
  description: 'regularised evolution: children of the best of a sample, the oldest dies',
  exact: false,
  capabilities: { multiObjective: false, constraints: 'aims', resume: 'replay' },
  defaultBudget: 20_000,
  create: (context) => createAgingEvolution(context),
};
