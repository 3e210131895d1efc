/**
 * OFA's evolutionary search (Cai et al., ICLR 2020, section 3.3; `ofa/nas/search_algorithm/evolution.py:13-140`): the
 * best quarter are parents; half of the children are mutations of one, half are crosses of two.
 *
 * Other than the reference it never loops without end: a child that breaks a limit is drawn again a bounded number of
 * times, then repaired by taking genes from a network known to be feasible. No network is proposed twice, so that the
 * population cannot collapse into copies of one, and the last generation counts like the others.
 */
import type { Architecture } from '../../space/architecture.js';
import { neighbours } from '../../space/enumerate.js';
import { geneValue } from '../../space/gene.js';
import { crossArchitectures, mutateArchitecture, sampleArchitecture } from '../../space/sampling.js';
import { architectureOf } from '../../space/space.js';
import { createRandom, type Random } from '../../util/random.js';
import {
  Fresh,
  scoreOf,
  type Candidate,
  type FeasibleTrial,
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

/** Draws that give known networks before a place stays empty; mutation grows stronger on the way. */
const MAX_REPEATS = 100;
/** Draws that give known networks before an untried neighbour of a parent is taken. */
const NEIGHBOURS_AFTER = 20;
/** Shares of the differing genes that survive successive repairs; at least one gene does. The others are the anchor's. */
const REPAIRS = [0.75, 0.5, 0.25, 0.1, 0];

/** A place in the next generation that is still to be filled. */
interface Place {
  readonly origin: 'anchor' | 'sample' | 'mutation' | 'cross';
  failures: number;
  /** The infeasible architecture that is being repaired. */
  broken?: Architecture;
}

class Evolution implements Strategy {
  readonly #chance: Random;
  readonly #fresh: Fresh;
  #parents: FeasibleTrial[] = [];
  #children: FeasibleTrial[] = [];
  /** Places to fill, the next one last. */
  #open: Place[];
  readonly #underWay = new Map<string, Place>();

  constructor(
    private readonly context: StrategyContext,
    private readonly options: EvolutionOptions,
  ) {
    this.#chance = createRandom(context.seed, 'search', 'evolution');
    this.#fresh = new Fresh(context.genes);
    const { anchor } = context;
    this.#open = places(options.populationSize - (anchor === undefined ? 0 : 1), 'sample');
    // So that there is a parent, however few networks meet the limits.
    if (anchor !== undefined) this.#open.push(...places(1, 'anchor'));
  }

  propose(count: number): Candidate[] {
    const list = this.#fill(count);
    if (list.length > 0 || this.#children.length === 0) return list;
    this.#nextGeneration();
    return this.#fill(count);
  }

  observe(trials: readonly Trial[]): void {
    for (const trial of trials) {
      const place = this.#underWay.get(trial.key);
      this.#underWay.delete(trial.key);
      if (trial.state === 'feasible') this.#children.push(trial);
      else if (place !== undefined) this.#retry(place, trial.architecture);
    }
  }

  #retry(place: Place, failed: Architecture): void {
    place.failures++;
    if (place.failures === this.options.attempts) place.broken = failed;
    if (place.failures < this.options.attempts + REPAIRS.length) this.#open.push(place);
  }

  #fill(count: number): Candidate[] {
    const list: Candidate[] = [];
    while (list.length < count && this.#open.length > 0) {
      const place = this.#open.pop()!;
      const candidate = this.#candidate(place);
      if (candidate === undefined) continue;
      this.#underWay.set(candidate.key, place);
      list.push(candidate);
    }
    return list;
  }

  #nextGeneration(): void {
    const { populationSize, parentRatio, mutationRatio } = this.options;
    const population = [...this.#parents, ...this.#children].sort(
      (a, b) => scoreOf(this.context, b) - scoreOf(this.context, a),
    );
    this.#parents = population.slice(0, Math.max(1, Math.round(parentRatio * populationSize)));
    this.#children = [];
    const mutations = Math.round(mutationRatio * populationSize);
    this.#open = [...places(populationSize - mutations, 'cross'), ...places(mutations, 'mutation')];
  }

  /** Undefined where nothing new was found for the place. */
  #candidate(place: Place): Candidate | undefined {
    if (place.broken !== undefined) return this.#repaired(place, place.broken);
    for (let repeats = 0; repeats < MAX_REPEATS; repeats++) {
      const candidate =
        this.#fresh.take(this.#draw(place.origin, repeats / MAX_REPEATS)) ??
        (repeats === NEIGHBOURS_AFTER ? this.#neighbour() : undefined);
      if (candidate !== undefined) return candidate;
    }
    return undefined;
  }

  /** A network one gene away from a parent that nobody proposed yet: what is left to try where most is known. */
  #neighbour(): Candidate | undefined {
    if (this.#parents.length === 0) return undefined;
    const parent = this.#chance.pick(this.#parents).architecture;
    for (const architecture of this.#chance.shuffle([...neighbours(this.context.genes, parent)])) {
      const candidate = this.#fresh.take(architecture);
      if (candidate !== undefined) return candidate;
    }
    return undefined;
  }

  /** `strength` from 0 to 1 moves a mutation from the set rates to a uniform sample, and follows crosses by a mutation. */
  #draw(origin: Place['origin'], strength: number): Architecture {
    const { genes, anchor } = this.context;
    if (origin === 'anchor' && anchor !== undefined) return anchor;
    if (origin === 'sample') return sampleArchitecture(genes, this.#chance);
    const parent = (): Architecture => this.#chance.pick(this.#parents).architecture;
    const { mutationRate, resolutionMutationRate } = this.options;
    if (origin === 'cross') {
      const child = crossArchitectures(genes, parent(), parent(), this.#chance);
      return strength === 0
        ? child
        : mutateArchitecture(genes, child, { architecture: strength, resolution: strength }, this.#chance);
    }
    return mutateArchitecture(
      genes,
      parent(),
      {
        architecture: mutationRate + strength * (1 - mutationRate),
        resolution: resolutionMutationRate + strength * (1 - resolutionMutationRate),
      },
      this.#chance,
    );
  }

  /** Keeps a share of the genes that differ from the anchor, chosen at random, and takes the others from it. */
  #repaired(place: Place, broken: Architecture): Candidate | undefined {
    const { genes, anchor } = this.context;
    if (anchor === undefined) return undefined;
    const differing = genes.filter((gene) => geneValue(broken, gene) !== geneValue(anchor, gene));
    for (; place.failures < this.options.attempts + REPAIRS.length; place.failures++) {
      const share = REPAIRS[place.failures - this.options.attempts]!;
      const kept = Math.max(1, Math.floor(share * differing.length));
      const taken = new Set(this.#chance.shuffle(differing).slice(kept));
      const candidate = this.#fresh.take(
        architectureOf(genes, (gene) => geneValue(taken.has(gene) ? anchor : broken, gene)),
      );
      if (candidate !== undefined) return candidate;
    }
    return undefined;
  }
}

function places(count: number, origin: Place['origin']): Place[] {
  return Array.from({ length: count }, () => ({ origin, failures: 0 }));
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
  capabilities: { multiObjective: false, constraints: 'learns', resume: 'replay' },
  // 500 generations, as in the reference.
  defaultBudget: evolutionDefaults.populationSize * 501,
  create: (context) => createEvolution(context, { populationSize: populationFor(context.budget) }),
};

/**
 * The reference's population, or a smaller one where the budget would end it after a few generations. Measured on
 * synthetic landscapes of the mbv3-tiny and ofa-mbv3 spaces: 10 to 20 is best for 50 to 200 queries, about 30 for 500 to
 * 1000, and from 3000 on the size matters little.
 */
function populationFor(budget: number): number {
  return Math.min(evolutionDefaults.populationSize, Math.max(10, Math.round(budget / 25)));
}
