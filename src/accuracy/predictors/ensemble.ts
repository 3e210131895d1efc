/**
 * Five small networks that differ in their first weights and the order of samples; their spread says how sure they are
 * (White, Neiswanger and Savani, "BANANAS: Bayesian optimization with neural architectures for neural architecture
 * search", AAAI 2021, 4). Fitted in a fraction of the time of `mlp`, for searches that fit after every few evaluations.
 */
import { definePredictor } from '../definePredictor.js';
import { LOSSES } from '../predictor.js';
import { fitEnsemble, restoreEnsemble } from './mlpEnsemble.js';

const NAME = 'ensemble';
const BATCH = 32;

/** As of `mlp`: a prior counts less the more samples there are. */
const weightDecayFor = (samples: number): number => Math.min(0.02, 1 / samples);
const stepsFor = (samples: number): number => Math.min(800, Math.max(200, Math.ceil((40 * samples) / BATCH)));

export const ensemblePredictor = definePredictor({
  name: NAME,
  description: 'Five small networks, an ensemble as in BANANAS; their spread is the variance',
  variance: true,
  losses: LOSSES,

  fit(data, context) {
    const recipe = {
      width: 64,
      layers: 3,
      members: 5,
      batch: BATCH,
      learningRate: 1e-2,
      weightDecay: weightDecayFor(data.count),
      steps: stepsFor(data.count),
    };
    return fitEnsemble(data, recipe, context);
  },

  restore: (stored, { engine }) => restoreEnsemble(NAME, stored, engine),
});
