import { createRandom, Fresh, scoreOf, type StrategyDefinition } from '../../src/index.js';

/** Infeasible networks in a row, after which it gives up. */
const MAX_INFEASIBLE = 20_000;

/** Simulated annealing (Kirkpatrick, Gelatt and Vecchi, Science 1983): a walk that goes to worse networks less and less often. */
export const annealing: StrategyDefinition = {
  name: 'annealing',
  description: 'a walk that goes to worse networks less and less often',
  exact: false,
  capabilities: { multiObjective: false, constraints: 'learns', resume: 'replay' },
  defaultBudget: 10_000,
  create(context) {
    const chance = createRandom(context.seed, 'annealing');
    const fresh = new Fresh(context.genes);
    const { genome } = fresh;
    let here = context.anchor && { genotype: genome.encode(context.anchor), score: Number.NEGATIVE_INFINITY };
    let [evaluated, infeasible, mean] = [0, 0, 0];
    return {
      // One at a time, as each decides where the next one starts from. Known networks are not proposed again: where there
      // are no others around, the walk begins anew anywhere.
      propose() {
        if (infeasible >= MAX_INFEASIBLE) return [];
        for (let draw = 0; draw < 2000; draw++) {
          const next = here && draw < 20 ? genome.step(here.genotype, chance) : genome.sample(chance);
          const candidate = fresh.take(next);
          if (candidate !== undefined) return [candidate];
        }
        return [];
      },
      observe([trial]) {
        infeasible = trial?.state === 'infeasible' ? infeasible + 1 : 0;
        if (trial?.state !== 'feasible') return;
        const score = scoreOf(context, trial);
        const change = here === undefined ? 0 : score - here.score;
        if (Number.isFinite(change)) mean += (Math.abs(change) - mean) / ++evaluated;
        // Falls from the mean change to nothing along the budget.
        const temperature = mean * Math.max(0, 1 - evaluated / context.budget);
        if (change >= 0 || chance.float() < Math.exp(change / temperature))
          here = { genotype: trial.genotype, score };
      },
    };
  },
};
