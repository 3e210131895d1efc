/** Candidates and what became of them. */
import type { Architecture } from '../space/architecture.js';
import type { Genotype } from '../space/genotype.js';

export type Direction = 'maximize' | 'minimize';

/** What a strategy is told of an objective. */
export interface ObjectiveInfo {
  readonly name: string;
  /** Which way is better. */
  readonly direction: Direction;
}

/** Made by `Fresh` or `createCandidate`. */
export interface Candidate {
  readonly architecture: Architecture;
  readonly genotype: Genotype;
  /** `Genome.key`: equal for equal networks. */
  readonly key: string;
  /** Share of the validation images to evaluate on, in (0, 1]; absent: all. Only strategies with `needs.fidelity` set it. */
  readonly fidelity?: number;
}

export interface FeasibleTrial extends Candidate {
  readonly state: 'feasible';
  /** One an objective, in its own unit and direction: see `gainsOf`. */
  readonly values: readonly number[];
}

/** A limit is broken; the objectives were not asked. */
export interface InfeasibleTrial extends Candidate {
  readonly state: 'infeasible';
  /** Sum over the limits of the relative excess; positive. */
  readonly violation: number;
}

export type Trial = FeasibleTrial | InfeasibleTrial;
