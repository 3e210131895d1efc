/**
 * What strategies with a surrogate share: a first design drawn at random, then fit, choose, measure, again. Decisions follow
 * from the seed and the trials observed so far, so that a search is resumed without fitting again (`resume: 'observe'`).
 */
import { enumerateArchitectures, countNetworks } from '../space/enumerate.js';
import { Genome, type Genotype } from '../space/genotype.js';
import { createRandom, type Random } from '../util/random.js';
import {
  createCandidate,
  type Candidate,
  type FeasibleTrial,
  type Strategy,
  type StrategyContext,
  type Trial,
} from './strategy.js';
import type { FittedSurrogate } from './surrogate.js';

/** Spaces of up to so many networks are listed, so that an acquisition's maximum is exact. */
const LISTED = 5000;
/** Draws for one network that is new and meets the limits. */
const MAX_DRAWS = 1000;
/** Infeasible trials in a row, after which it gives up. */
const MAX_INFEASIBLE = 20_000;

/** Networks that may be proposed: unseen, and within the limits as far as these are known beforehand. */
export class Pool {
  readonly genome: Genome;
  readonly #seen = new Set<string>();
  /** Within the limits, and not known to be seen. */
  #all: readonly (readonly [key: string, genotype: Genotype])[] | undefined;

  constructor(private readonly context: StrategyContext) {
    this.genome = new Genome(context.genes);
  }

  mark({ key }: Candidate): void {
    this.#seen.add(key);
  }

  /** Those of `genotypes` that may be proposed, each network once, in order. */
  async filter(genotypes: Iterable<Genotype>): Promise<Genotype[]> {
    const keys = new Set<string>();
    const fresh: Genotype[] = [];
    for (const genotype of genotypes) {
      const key = this.genome.key(genotype);
      if (this.#seen.has(key) || keys.has(key)) continue;
      keys.add(key);
      fresh.push(genotype);
    }
    const { violations } = this.context;
    if (violations === undefined || fresh.length === 0) return fresh;
    const excess = await violations(fresh.map((genotype) => this.genome.decode(genotype)));
    return fresh.filter((_, i) => excess[i] === 0);
  }

  /** All networks that may be proposed; undefined where the space has too many to list. */
  async list(): Promise<Genotype[] | undefined> {
    const { genes } = this.context;
    if (this.#all === undefined) {
      if (countNetworks(genes) > BigInt(LISTED)) return undefined;
      const genotypes = [...enumerateArchitectures(genes)].map((arch) => this.genome.encode(arch));
      const free = await this.filter(genotypes);
      this.#all = free.map((genotype) => [this.genome.key(genotype), genotype]);
    }
    // Limits do not change: they are asked once.
    this.#all = this.#all.filter(([key]) => !this.#seen.has(key));
    return this.#all.map(([, genotype]) => genotype);
  }

  /** At most `count` distinct ones, drawn uniformly; then, where limits leave little, next to the anchor. */
  async sample(count: number, chance: Random): Promise<Genotype[]> {
    const listed = await this.list();
    if (listed !== undefined) return chance.shuffle(listed).slice(0, count);
    const found = new Map<string, Genotype>();
    const { genome } = this;
    const anchor = this.context.anchor && genome.encode(this.context.anchor);
    for (let draws = 0; found.size < count && draws < MAX_DRAWS; draws += count) {
      const drawn = Array.from({ length: count }, () => {
        const sample = genome.sample(chance);
        if (anchor === undefined || draws < MAX_DRAWS / 10) return sample;
        // Most of a uniform sample breaks tight limits: fewer and fewer genes are taken from it.
        const share = chance.float() * (1 - draws / MAX_DRAWS);
        return sample.map((choice, i) => (chance.float() < share ? choice : anchor[i]!));
      });
      if (draws === 0 && anchor !== undefined) drawn.push(anchor);
      for (const genotype of await this.filter(drawn)) {
        if (found.size < count) found.set(genome.key(genotype), genotype);
      }
    }
    return [...found.values()];
  }
}

export interface Round {
  /** All feasible ones so far, at least one. */
  readonly trials: readonly FeasibleTrial[];
  /** Fitted on them. */
  readonly model: FittedSurrogate;
  readonly pool: Pool;
  /** How many networks are wanted. */
  readonly count: number;
  /** Of this round alone. */
  readonly chance: Random;
  readonly context: StrategyContext;
}

export interface ModelBasedOptions {
  /** Of the strategy, for its chance. */
  readonly name: string;
  /** Feasible trials before the first fit. */
  readonly initial: number;
  /** Networks proposed at once after that. */
  readonly batch: number;
  /** What to measure next, best first; all of the pool, distinct. Fewer than wanted are made up for by samples. */
  readonly choose: (round: Round) => Promise<readonly Genotype[]>;
}

export function modelBased(context: StrategyContext, options: ModelBasedOptions): Strategy {
  const { surrogate, seed } = context;
  if (surrogate === undefined)
    throw new TypeError(`Cannot start strategy "${options.name}": its context must have a surrogate`);
  const pool = new Pool(context);
  const trials: FeasibleTrial[] = [];
  let observed = 0;
  let infeasible = 0;
  return {
    async propose(count) {
      if (infeasible >= MAX_INFEASIBLE) return [];
      const chance = createRandom(seed, 'search', options.name, observed);
      const missing = options.initial - trials.length;
      if (missing > 0) return candidates(pool, await pool.sample(Math.min(count, missing), chance));
      const wanted = Math.min(count, options.batch);
      const model = await surrogate.fit(trials, seed);
      try {
        const chosen = await options.choose({ trials, model, pool, count: wanted, chance, context });
        const genotypes = chosen.slice(0, wanted);
        if (genotypes.length === 0) genotypes.push(...(await pool.sample(wanted, chance)));
        return candidates(pool, genotypes);
      } finally {
        await model.dispose();
      }
    },
    observe(more: readonly Trial[]) {
      for (const trial of more) {
        observed++;
        pool.mark(trial);
        if (trial.state === 'feasible') trials.push(trial);
        infeasible = trial.state === 'feasible' ? 0 : infeasible + 1;
      }
    },
  };
}

function candidates({ genome }: Pool, genotypes: readonly Genotype[]): Candidate[] {
  return genotypes.map((genotype) => createCandidate(genome, genotype));
}
