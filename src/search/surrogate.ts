/**
 * What model-based strategies know of networks that nobody evaluated. The interface is all that strategies see; whoever
 * runs a search hands in an implementation, as this folder knows no predictors.
 */
import type { Architecture } from '../space/architecture.js';
import type { FeasibleTrial } from './strategy.js';

/** Of one objective, one number an architecture, in the objective's own unit. */
export interface Estimate {
  readonly mean: ArrayLike<number>;
  /** How sure the model is of `mean`; 0 for what is known exactly (a cheap objective). Absent where it cannot tell. */
  readonly variance?: ArrayLike<number>;
}

export interface FittedSurrogate {
  /** One estimate an objective, in the search's order. */
  predict(archs: readonly Architecture[]): Promise<readonly Estimate[]>;
  dispose(): Promise<void>;
}

export interface Surrogate {
  /** Deterministic for its arguments. At least one trial. The caller disposes of the result. */
  fit(trials: readonly FeasibleTrial[], seed: number): Promise<FittedSurrogate>;
}
