/**
 * The contract between search and strategies. A strategy proposes candidates and observes what became of them; it knows
 * neither predictors nor constraints, nor who evaluates (after PyGlove, NeurIPS 2020, section 3). Everything it decides
 * follows from its seed and the trials it has observed, so a search is resumed by replaying them.
 */
import { architectureKey } from '../space/canonical.js';
import type { Architecture } from '../space/architecture.js';
import type { Gene } from '../space/gene.js';

export interface Candidate {
  readonly architecture: Architecture;
  /** `architectureKey`: equal for equal networks. */
  readonly key: string;
}

export interface FeasibleTrial extends Candidate {
  readonly state: 'feasible';
  /** Larger is better. */
  readonly score: number;
  /** What the front trades the score against (latency), smaller is better; absent where the search has no such thing. */
  readonly cost?: number;
}

/** A limit is broken; there is no score. */
export interface InfeasibleTrial extends Candidate {
  readonly state: 'infeasible';
  /** Sum over the limits of the relative excess; positive. */
  readonly violation: number;
}

export type Trial = FeasibleTrial | InfeasibleTrial;

export interface StrategyContext {
  /** Of the space, limited if the user limited them. */
  readonly genes: readonly Gene[];
  readonly seed: number;
  /** How many feasible trials there will be, at most. */
  readonly budget: number;
  /** An architecture that meets all limits, to walk towards when nothing else does. Absent for exact strategies. */
  readonly anchor?: Architecture;
}

export interface Strategy {
  /**
   * At most `count` candidates, never a network that was proposed before; an empty list when the strategy is done. All
   * of them are observed before the next call.
   */
  propose(count: number): Candidate[];
  observe(trials: readonly Trial[]): void;
}

export interface StrategyDefinition {
  readonly name: string;
  readonly description: string;
  /** Proposes every network if it is given the time: needs no anchor, and infeasibility is proven, not assumed. */
  readonly exact: boolean;
  /** Accuracy queries it is given when the user does not say. */
  readonly defaultBudget: number;
  create(context: StrategyContext): Strategy;
}

/** Makes candidates, each network once. */
export class Fresh {
  readonly #keys = new Set<string>();

  constructor(private readonly genes: readonly Gene[]) {}

  /** Undefined for a network that was taken before. */
  take(architecture: Architecture): Candidate | undefined {
    const key = architectureKey(this.genes, architecture);
    if (this.#keys.has(key)) return undefined;
    this.#keys.add(key);
    return { architecture, key };
  }
}
