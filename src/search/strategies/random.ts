/** Uniform sampling: the baseline that every other strategy must beat. */
import { createRandom } from '../../util/random.js';
import { Fresh, type Candidate, type StrategyDefinition } from '../strategy.js';

/** Draws in a row that gave known networks, after which the space counts as used up. */
const MAX_REPEATS = 1000;
/** Infeasible samples in a row, after which it gives up. */
const MAX_INFEASIBLE = 20_000;

export const random: StrategyDefinition = {
  name: 'random',
  description: 'uniform samples; the baseline',
  exact: false,
  capabilities: { multiObjective: true, constraints: 'learns', resume: 'replay' },
  defaultBudget: 10_000,
  create({ genes, seed }) {
    const chance = createRandom(seed, 'search', 'random');
    const fresh = new Fresh(genes);
    let infeasible = 0;
    return {
      propose(count) {
        const list: Candidate[] = [];
        if (infeasible >= MAX_INFEASIBLE) return list;
        for (let repeats = 0; list.length < count && repeats < MAX_REPEATS;) {
          const candidate = fresh.take(fresh.genome.sample(chance));
          if (candidate === undefined) repeats++;
          else {
            list.push(candidate);
            repeats = 0;
          }
        }
        return list;
      },
      observe(trials) {
        for (const { state } of trials) infeasible = state === 'feasible' ? 0 : infeasible + 1;
      },
    };
  },
};
