/**
 * The contract between search and strategies. A strategy proposes candidates and observes what became of them; it knows
 * neither predictors nor limits, nor who evaluates (after PyGlove, NeurIPS 2020, section 3). Everything it decides follows
 * from its seed and the trials it has observed, so a search is resumed by replaying them.
 */
import type { Engine } from '../engine/engine.js';
import type { Architecture } from '../space/architecture.js';
import type { Gene } from '../space/gene.js';
import { Genome, type Genotype } from '../space/genotype.js';
import type { KeySet } from '../space/keySet.js';
import type { Surrogate } from './surrogate.js';
import type { Candidate, FeasibleTrial, ObjectiveInfo, Trial } from './trial.js';

export type { Candidate, Direction, FeasibleTrial, InfeasibleTrial, ObjectiveInfo, Trial } from './trial.js';

export interface StrategyContext {
  /** Of the space, limited if the user limited them. */
  readonly genes: readonly Gene[];
  readonly seed: number;
  /** How many feasible trials there will be, at most; a trial on a share of the images counts as that share. */
  readonly budget: number;
  /** At least one; exactly one for strategies without `capabilities.multiObjective`. */
  readonly objectives: readonly ObjectiveInfo[];
  /**
   * An architecture that meets all limits, to walk towards when nothing else does. Absent without limits, and for exact
   * strategies.
   */
  readonly anchor?: Architecture;
  /** How far architectures are from meeting the limits, as in `InfeasibleTrial`; 0 where they do. Costs no budget. */
  readonly violations?: (archs: readonly Architecture[]) => Promise<ArrayLike<number>>;
  /** The same of genotypes, which is quicker where limits are on sums over blocks. There iff `violations` is. */
  readonly genotypeViolations?: (genotypes: readonly Genotype[]) => Promise<ArrayLike<number>>;
  /** Guesses the objectives of architectures that were not evaluated; there for strategies that declare `needs.surrogate`. */
  readonly surrogate?: Surrogate;
  /** Runs a strategy's own networks; there for those that declare `needs.engine`. */
  readonly engine?: Engine;
}

export interface Strategy {
  /**
   * At most `count` candidates, never one that was proposed before (a network, at a fidelity); an empty list when the
   * strategy is done. All of them are observed before the next call.
   */
  propose(count: number): readonly Candidate[] | Promise<readonly Candidate[]>;
  observe(trials: readonly Trial[]): void | Promise<void>;
  /** Frees what it holds, e.g. compiled programs. */
  dispose?(): Promise<void>;
}

export interface Capabilities {
  /** Seeks a whole Pareto front of two or more objectives; otherwise takes exactly one. */
  readonly multiObjective: boolean;
  /** `aims`: proposes what it knows to meet the limits; `learns`: proposals may break them, and it steers away. */
  readonly constraints: 'aims' | 'learns';
  /**
   * How it is resumed. `replay`: by proposing again what the journal holds, then observing it. `observe`: by observing
   * alone, as proposals follow from the seed and all trials observed so far, whatever was proposed on the way: for
   * strategies whose proposals are costly.
   */
  readonly resume: 'replay' | 'observe';
}

/** What whoever runs the strategy must hand in. */
export interface Needs {
  /** `variance`: the surrogate must know how sure it is. */
  readonly surrogate?: 'mean' | 'variance';
  /** The first objective must be measurable on a share of the validation images. */
  readonly fidelity?: true;
  readonly engine?: true;
}

export interface StrategyDefinition {
  readonly name: string;
  readonly description: string;
  /** Proposes every network if it is given the time: needs no anchor, and infeasibility is proven, not assumed. */
  readonly exact: boolean;
  readonly capabilities: Capabilities;
  readonly needs?: Needs;
  /** Name of the accuracy predictor that makes the best surrogate, where the user names none. */
  readonly preferredSurrogate?: string;
  /** Evaluations it is given when the user does not say, if they are predictions. */
  readonly defaultBudget: number;
  create(context: StrategyContext): Strategy;
}

/** The values with signs such that more is better. */
export function gainsOf(objectives: readonly ObjectiveInfo[], values: ArrayLike<number>): number[] {
  return objectives.map(({ direction }, i) => (direction === 'maximize' ? values[i]! : -values[i]!));
}

/** For strategies of one objective: more is better. */
export function scoreOf({ objectives }: StrategyContext, { values }: FeasibleTrial): number {
  return objectives[0]!.direction === 'maximize' ? values[0]! : -values[0]!;
}

export function createCandidate(genome: Genome, genotype: Genotype, fidelity?: number): Candidate {
  const own = { architecture: genome.decode(genotype), genotype, key: genome.key(genotype) };
  return fidelity === undefined ? own : { ...own, fidelity };
}

/** Makes candidates, each network once. */
export class Fresh {
  readonly genome: Genome;
  readonly #taken: KeySet;

  constructor(genes: readonly Gene[] | Genome) {
    this.genome = genes instanceof Genome ? genes : new Genome(genes);
    this.#taken = this.genome.createKeySet();
  }

  /** Undefined for a network that was taken before. */
  take(network: Architecture | Genotype): Candidate | undefined {
    const genotype = network instanceof Uint8Array ? network : this.genome.encode(network);
    return this.claim(genotype) ? createCandidate(this.genome, genotype) : undefined;
  }

  /** Whether the network was not taken before; it counts as taken from now on. */
  claim(genotype: Genotype): boolean {
    return this.genome.addTo(this.#taken, genotype);
  }

  get size(): number {
    return this.#taken.size;
  }
}
