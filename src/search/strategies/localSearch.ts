/**
 * Hill climbing from random starts (White, Nolen and Savani, "Exploring the loss landscape in neural architecture search",
 * UAI 2021, section 4: local search is hard to beat where evaluations are many and noise is little). `local-search` goes to
 * the first neighbour that is better, in random order; `local-search-best` looks at all neighbours and goes to the best.
 * Where none is better it starts again elsewhere. A network is a neighbour if it differs in one gene.
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

export type Improvement = 'first' | 'best';

/** Infeasible draws for a start before it is repaired. */
const ATTEMPTS = 20;
/** Starts in a row that came to nothing, after which it gives up. */
const MAX_STARTS = 20;
/** Rounds of a search by predictions: with more evaluations than that several neighbours are asked at once. */
const ROUNDS = 2000;

interface Place {
  readonly genotype: Genotype;
  readonly score: number;
}

class LocalSearch implements Strategy {
  readonly #chance: Random;
  readonly #genome: Genome;
  readonly #fresh: Fresh;
  readonly #starts: Brood<'start'>;
  /** Neighbours asked at once. */
  readonly #width: number;
  /** All feasible ones so far, by key. */
  readonly #known = new Map<string, Place>();
  #places: Place[] = [];
  #here: Place | undefined;
  /** Neighbours of `here` that are still to be asked, the next one last. */
  #untried: Genotype[] = [];
  /** Whether `untried` still holds infeasible ones. */
  #entered = false;
  /** Best neighbour of `here` met so far, if it is better. */
  #better: Place | undefined;

  constructor(
    private readonly context: StrategyContext,
    private readonly improvement: Improvement,
  ) {
    const { seed, genes, anchor, budget } = context;
    this.#chance = createRandom(seed, 'search', `local-search-${improvement}`);
    this.#genome = new Genome(genes);
    this.#fresh = new Fresh(this.#genome);
    this.#width =
      improvement === 'best'
        ? Number.POSITIVE_INFINITY
        : Math.max(1, Math.round(Math.min(budget, 1e6) / ROUNDS));
    this.#starts = new Brood({
      genome: this.#genome,
      fresh: this.#fresh,
      chance: this.#chance,
      anchor,
      budget,
      attempts: ATTEMPTS,
      draw: () => this.#genome.sample(this.#chance),
      parent: () => (this.#places.length === 0 ? undefined : this.#chance.pick(this.#places).genotype),
    });
  }

  async propose(count: number): Promise<Candidate[]> {
    const list: Candidate[] = [];
    await this.#dropInfeasible();
    while (this.#here !== undefined && list.length < Math.min(count, this.#width)) {
      const neighbour = this.#untried.pop();
      if (neighbour !== undefined) {
        const candidate = this.#fresh.take(neighbour);
        if (candidate !== undefined) list.push(candidate);
      } else if (list.length > 0) break;
      else {
        this.#move();
        await this.#dropInfeasible();
      }
    }
    if (list.length > 0) return list;
    for (let start = 0; start < MAX_STARTS; start++) {
      const started = await this.#starts.fillFeasible(1, this.context.genotypeViolations);
      if (started.length > 0) return started;
      this.#starts.open('start', 1);
    }
    return [];
  }

  observe(trials: readonly Trial[]): void {
    if (this.#here === undefined) this.#starts.observe(trials);
    for (const trial of trials) {
      if (trial.state === 'infeasible') continue;
      const place = { genotype: trial.genotype, score: scoreOf(this.context, trial) };
      this.#known.set(trial.key, place);
      this.#places.push(place);
      if (this.#here === undefined) this.#enter(place);
      else if (place.score > (this.#better ?? this.#here).score) this.#better = place;
    }
    if (this.improvement === 'first' && this.#better !== undefined) this.#move();
  }

  /** Neighbours that break a limit need not be asked. */
  async #dropInfeasible(): Promise<void> {
    const { genotypeViolations } = this.context;
    if (!this.#entered || genotypeViolations === undefined) return;
    this.#entered = false;
    const excess = await genotypeViolations(this.#untried);
    this.#untried = this.#untried.filter((_, i) => excess[i] === 0);
  }

  /** To the best neighbour, or away from a local optimum. */
  #move(): void {
    if (this.#better === undefined) this.#here = undefined;
    else this.#enter(this.#better);
  }

  #enter(place: Place): void {
    this.#here = place;
    this.#better = undefined;
    this.#untried = [];
    this.#entered = true;
    for (const neighbour of this.#chance.shuffle([...this.#genome.neighbours(place.genotype)])) {
      const known = this.#known.get(this.#genome.key(neighbour));
      if (known === undefined) this.#untried.push(neighbour);
      else if (known.score > (this.#better ?? place).score) this.#better = known;
    }
  }
}

const definition = (name: string, improvement: Improvement, description: string): StrategyDefinition => ({
  name,
  description,
  exact: false,
  capabilities: { multiObjective: false, constraints: 'aims', resume: 'replay' },
  defaultBudget: 10_000,
  create: (context) => new LocalSearch(context, improvement),
});

export const localSearch = definition(
  'local-search',
  'first',
  'hill climbing to the first better neighbour, from random starts',
);
export const localSearchBest = definition(
  'local-search-best',
  'best',
  'hill climbing to the best neighbour, from random starts',
);
