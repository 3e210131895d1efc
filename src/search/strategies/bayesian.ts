/**
 * Bayesian optimisation: of all networks the one is evaluated next whose expected improvement is greatest, by a Gaussian
 * process on what is known (Jones, Schonlau and Welch, "Efficient global optimization of expensive black-box functions",
 * 1998, section 4; for architectures: Kandasamy et al., "Neural architecture search with Bayesian optimisation and optimal
 * transport", NeurIPS 2018, section 4).
 */
import { byScore, expectedImprovement, maximise } from '../acquisition.js';
import { modelBased } from '../modelBased.js';
import { scoreOf, type StrategyDefinition } from '../strategy.js';

/** A search has about so many fits at most: batches grow with its budget. */
const MOST_FITS = 40;

export const bayesian: StrategyDefinition = {
  name: 'bayesian',
  description: 'Bayesian optimisation: greatest expected improvement by a Gaussian process',
  exact: false,
  capabilities: { multiObjective: false, constraints: 'aims', resume: 'observe' },
  needs: { surrogate: 'variance' },
  preferredSurrogate: 'gp',
  defaultBudget: 200,
  create: (context) =>
    modelBased(context, {
      name: 'bayesian',
      initial: Math.min(50, Math.max(5, Math.round(context.budget / 10))),
      batch: Math.max(1, Math.ceil(Math.min(context.budget, 1e6) / MOST_FITS)),
      choose(round) {
        const best = scoreOf(context, byScore(context, round.trials)[0]!);
        return maximise(round, (belief) => expectedImprovement(belief, best));
      },
    }),
};
