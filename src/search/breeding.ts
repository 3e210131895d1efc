/**
 * Fills a generation with networks that nobody proposed before, whatever the limits are, and never loops without end: a
 * child that breaks a limit is drawn again a bounded number of times, then repaired by taking genes from a network known to
 * be feasible; a child that is known is drawn again, more and more freely, then sought next to a parent.
 */
import type { Genome, Genotype } from '../space/genotype.js';
import type { Random } from '../util/random.js';
import { createCandidate, type Candidate, type Fresh, type StrategyContext, type Trial } from './strategy.js';

/** Draws that give known networks before a place stays empty. */
const MAX_REPEATS = 100;
/** Draws that give known networks before an untried neighbour of a parent is taken. */
const NEIGHBOURS_AFTER = 20;
/** Shares of the differing genes that survive successive repairs; at least one gene does. The others are the anchor's. */
const REPAIRS = [0.75, 0.5, 0.25, 0.1, 0];

/**
 * Networks outside the limits that are drawn for every one of the budget, and at least: where few networks are within, most of
 * those are known after a while, and the search ends instead of looking for the last of them.
 */
const FAILURES_PER_NETWORK = 20;
const LEAST_FAILURES = 100_000;

/** A place in the next generation that is still to be filled. */
interface Place<Origin> {
  readonly origin: Origin;
  failures: number;
  /** The infeasible network that is being repaired. */
  broken?: Genotype;
}

export interface BroodOptions<Origin> {
  readonly genome: Genome;
  readonly fresh: Fresh;
  readonly chance: Random;
  /** What repairs take genes from. */
  readonly anchor: StrategyContext['anchor'];
  /** Of the search. */
  readonly budget: number;
  /** Infeasible draws for one place before its last one is repaired. */
  readonly attempts: number;
  /** A child for a place. `freedom` rises from 0 to 1 as draws give known networks: 1 should be a uniform sample. */
  readonly draw: (origin: Origin, freedom: number) => Genotype;
  /** Whose neighbours are tried when draws give nothing new; undefined for none. */
  readonly parent: () => Genotype | undefined;
}

/** A network for a place. */
interface Draft<Origin> {
  readonly genotype: Genotype;
  readonly place: Place<Origin>;
}

export class Brood<Origin> {
  /** Places to fill, the next one last. */
  readonly #open: Place<Origin>[] = [];
  readonly #underWay = new Map<string, Place<Origin>>();
  readonly #anchor: Genotype | undefined;
  /** Infeasible networks that may still be drawn. */
  #patience: number;

  constructor(private readonly options: BroodOptions<Origin>) {
    this.#patience = Math.max(LEAST_FAILURES, FAILURES_PER_NETWORK * options.budget);
    this.#anchor = options.anchor && options.genome.encode(options.anchor);
  }

  /** More places; filled before those that are open already. */
  open(origin: Origin, count: number): void {
    for (let i = 0; i < count; i++) this.#open.push({ origin, failures: 0 });
  }

  /** Candidates for open places, at most `count`; [] when none is left that anything new was found for. */
  fill(count: number): Candidate[] {
    return this.#drafts(count).map(({ genotype, place }) => {
      const candidate = this.#candidate(genotype);
      this.#underWay.set(candidate.key, place);
      return candidate;
    });
  }

  /** The same of networks that are within the limits, where `violations` tells: so that few rounds fill all places. */
  async fillFeasible(count: number, violations: StrategyContext['genotypeViolations']): Promise<Candidate[]> {
    if (violations === undefined) return this.fill(count);
    const list: Candidate[] = [];
    while (list.length < count) {
      const drafts = this.#drafts(count - list.length);
      if (drafts.length === 0) break;
      const excess = await violations(drafts.map(({ genotype }) => genotype));
      drafts.forEach((draft, i) => {
        if (excess[i] === 0) list.push(this.#candidate(draft.genotype));
        else this.#failed(draft.place, draft.genotype);
      });
    }
    return list;
  }

  /** What became of candidates: places of infeasible ones are open again. */
  observe(trials: readonly Trial[]): void {
    for (const trial of trials) {
      const place = this.#underWay.get(trial.key);
      if (place === undefined) continue;
      this.#underWay.delete(trial.key);
      if (trial.state === 'infeasible') this.#failed(place, trial.genotype);
    }
  }

  #candidate(genotype: Genotype): Candidate {
    return createCandidate(this.options.genome, genotype);
  }

  #failed(place: Place<Origin>, genotype: Genotype): void {
    const { attempts } = this.options;
    place.failures++;
    this.#patience--;
    if (place.failures === attempts) place.broken = genotype;
    if (place.failures < attempts + REPAIRS.length) this.#open.push(place);
  }

  #drafts(count: number): Draft<Origin>[] {
    const list: Draft<Origin>[] = [];
    while (list.length < count && this.#patience > 0) {
      const place = this.#open.pop();
      if (place === undefined) break;
      const draft = place.broken === undefined ? this.#drawn(place) : this.#repaired(place, place.broken);
      if (draft !== undefined) list.push(draft);
    }
    return list;
  }

  /** Undefined for a network that was taken before. */
  #claim(genotype: Genotype, place: Place<Origin>): Draft<Origin> | undefined {
    return this.options.fresh.claim(genotype) ? { genotype, place } : undefined;
  }

  #drawn(place: Place<Origin>): Draft<Origin> | undefined {
    const { draw } = this.options;
    for (let repeats = 0; repeats < MAX_REPEATS; repeats++) {
      const draft =
        this.#claim(draw(place.origin, repeats / MAX_REPEATS), place) ??
        (repeats === NEIGHBOURS_AFTER ? this.#neighbour(place) : undefined);
      if (draft !== undefined) return draft;
    }
    return undefined;
  }

  /** A network one gene away from a parent that nobody proposed yet: what is left to try where most is known. */
  #neighbour(place: Place<Origin>): Draft<Origin> | undefined {
    const { parent, genome, chance } = this.options;
    const genotype = parent();
    if (genotype === undefined) return undefined;
    for (const neighbour of chance.shuffle([...genome.neighbours(genotype)])) {
      const draft = this.#claim(neighbour, place);
      if (draft !== undefined) return draft;
    }
    return undefined;
  }

  /** Keeps a share of the genes that differ from the anchor, chosen at random, and takes the others from it. */
  #repaired(place: Place<Origin>, broken: Genotype): Draft<Origin> | undefined {
    const { attempts, chance } = this.options;
    const anchor = this.#anchor;
    if (anchor === undefined) return undefined;
    const differing = [...broken.keys()].filter((gene) => broken[gene] !== anchor[gene]);
    for (; place.failures < attempts + REPAIRS.length; place.failures++) {
      const share = REPAIRS[place.failures - attempts]!;
      const kept = Math.max(1, Math.floor(share * differing.length));
      const child = broken.slice();
      for (const gene of chance.shuffle(differing).slice(kept)) child[gene] = anchor[gene]!;
      const draft = this.#claim(child, place);
      if (draft !== undefined) return draft;
    }
    return undefined;
  }
}

/**
 * The mutation of OFA's evolution, as free as wanted: from the given rates at `freedom` 0 to a uniform sample at 1.
 */
export function freeMutation(
  genome: Genome,
  parent: Genotype,
  rate: number,
  resolutionRate: number,
  freedom: number,
  chance: Random,
): Genotype {
  return genome.mutate(
    parent,
    rate + freedom * (1 - rate),
    resolutionRate + freedom * (1 - resolutionRate),
    chance,
  );
}
