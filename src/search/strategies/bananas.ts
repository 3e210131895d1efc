/**
 * BANANAS (White, Neiswanger and Savani, "BANANAS: Bayesian optimization with neural architectures for neural architecture
 * search", AAAI 2021, algorithm 1): a surrogate that knows how sure it is; of networks that differ little from the best
 * known ones, those are evaluated that an independent Thompson sample says are best (section 4).
 */
import { byScore, mutations, scoreAll, thompsonSample } from '../acquisition.js';
import { modelBased } from '../modelBased.js';
import type { StrategyDefinition } from '../strategy.js';

/** Networks that candidates are mutations of, and how many candidates. */
const PARENTS = 20;
const CANDIDATES = 500;

export const bananas: StrategyDefinition = {
  name: 'bananas',
  description: 'BANANAS: mutations of the best, by independent Thompson samples of a surrogate',
  exact: false,
  capabilities: { multiObjective: false, constraints: 'aims', resume: 'observe' },
  needs: { surrogate: 'variance' },
  preferredSurrogate: 'ensemble',
  defaultBudget: 200,
  create: (context) =>
    modelBased(context, {
      name: 'bananas',
      // The paper's 10 and 10 for 150 evaluations.
      initial: Math.min(100, Math.max(10, Math.round(context.budget / 15))),
      batch: Math.min(100, Math.max(1, Math.round(context.budget / 15))),
      async choose(round) {
        const { trials, pool, chance } = round;
        const parents = byScore(context, trials).slice(0, PARENTS);
        const candidates = await pool.filter(
          mutations(
            round,
            parents.map(({ genotype }) => genotype),
            CANDIDATES,
          ),
        );
        const sampled = await scoreAll(round, candidates, (belief) => thompsonSample(belief, chance));
        return sampled.map(({ genotype }) => genotype);
      },
    }),
};
