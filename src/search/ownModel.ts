/**
 * The loop of `modelBased` for strategies that fit a model of their own, which costs more than what a regression hands in:
 * it is fitted again only when a whole batch of evaluations has come in, however few networks are asked for at a time.
 */
import type { Genotype } from '../space/genotype.js';
import { createRandom, type Random } from '../util/random.js';
import { modelBased, type Round } from './modelBased.js';
import { scoreOf, type FeasibleTrial, type Strategy, type StrategyContext } from './strategy.js';

/** A search has about so many fits at most: batches grow with its budget. */
const MOST_FITS = 20;

export interface OwnModelRound<M> extends Omit<Round, 'model'> {
  readonly model: M;
  /** Of `trials`, in order; more is better. */
  readonly scores: readonly number[];
}

export interface OwnModelOptions<M> {
  readonly name: string;
  /** Feasible trials before the first fit. */
  readonly initial: number;
  /** Evaluations between two fits, at least. */
  readonly batch: number;
  /** Deterministic for its arguments. */
  readonly fit: (trials: readonly FeasibleTrial[], scores: readonly number[], chance: Random) => Promise<M>;
  /** What to evaluate next, best first; all of the pool, distinct. */
  readonly choose: (round: OwnModelRound<M>) => Promise<readonly Genotype[]>;
}

export function ownModelBased<M extends { dispose(): Promise<void> }>(
  context: StrategyContext,
  { name, initial, fit, choose, ...options }: OwnModelOptions<M>,
): Strategy {
  const batch = Math.max(options.batch, Math.ceil(Math.min(context.budget, 1e6) / MOST_FITS));
  const scoresOf = (trials: readonly FeasibleTrial[]): number[] =>
    trials.map((trial) => scoreOf(context, trial));
  let fitted: { readonly count: number; readonly model: M } | undefined;
  const current = async (trials: readonly FeasibleTrial[], seed: number): Promise<M> => {
    // On whole batches alone, so that a search that is resumed fits what the stopped one had.
    const count = initial + Math.floor((trials.length - initial) / batch) * batch;
    if (fitted?.count === count) return fitted.model;
    await fitted?.model.dispose();
    fitted = undefined;
    const known = trials.slice(0, count);
    const model = await fit(known, scoresOf(known), createRandom(seed, 'search', name, 'fit', count));
    fitted = { count, model };
    return model;
  };
  let model: M;
  const strategy = modelBased(
    {
      ...context,
      surrogate: {
        async fit(trials, seed) {
          model = await current(trials, seed);
          return { predict: () => Promise.resolve([]), dispose: () => Promise.resolve() };
        },
      },
    },
    {
      name,
      initial,
      batch,
      choose: (round) => choose({ ...round, model, scores: scoresOf(round.trials) }),
    },
  );
  return {
    propose: (count) => strategy.propose(count),
    observe: (trials) => strategy.observe(trials),
    async dispose() {
      await fitted?.model.dispose();
      fitted = undefined;
    },
  };
}
