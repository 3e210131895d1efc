/**
 * What model-based strategies know of networks that nobody evaluated. `Surrogate` is all that strategies see; whoever runs
 * a search hands in a `Regressor`, as this folder knows no predictors.
 */
import type { Architecture } from '../space/architecture.js';
import { evaluateQuantity, type Quantity } from './quantity.js';
import type { FeasibleTrial } from './trial.js';

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

export interface FittedRegressor {
  predict(archs: readonly Architecture[]): Promise<Estimate>;
  dispose(): Promise<void>;
}

/** Learns one number from examples: a predictor, as searches see it. */
export interface Regressor {
  readonly name: string;
  /** Whether estimates have a variance. */
  readonly variance: boolean;
  /** Deterministic for its arguments; any number of examples from 1, values of any size and sign, also all equal. */
  fit(archs: readonly Architecture[], values: readonly number[], seed: number): Promise<FittedRegressor>;
}

/** Asks cheap objectives, and guesses the others by a regression each. Trials on a share of the images are left out. */
export function surrogateOf(objectives: readonly Quantity[], regressor: Regressor): Surrogate {
  return {
    async fit(trials, seed) {
      const whole = trials.filter(({ fidelity = 1 }) => fidelity === 1);
      const archs = whole.map(({ architecture }) => architecture);
      const models = new Map<number, FittedRegressor>();
      for (const [i, { cheap }] of objectives.entries()) {
        if (cheap === true) continue;
        const values = whole.map((trial) => trial.values[i]!);
        models.set(i, await regressor.fit(archs, values, seed));
      }
      return {
        async predict(asked) {
          const estimates: Estimate[] = [];
          for (const [i, quantity] of objectives.entries()) {
            const model = models.get(i);
            estimates.push(
              model === undefined
                ? { mean: await evaluateQuantity(quantity, asked), variance: new Float64Array(asked.length) }
                : await model.predict(asked),
            );
          }
          return estimates;
        },
        async dispose() {
          for (const model of models.values()) await model.dispose();
        },
      };
    },
  };
}
