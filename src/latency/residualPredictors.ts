/** Learners on top of the simple predictors: on the features' regression where there is no table, on the corrected table where there is. */
import { correctedTablePredictor } from './correctedTable.js';
import { describeByChoices, describeByValues } from './describe.js';
import { featureRidgePredictor } from './featureRidge.js';
import { boostedTrees } from './learners/boostedTrees.js';
import { mlp } from './learners/mlp.js';
import { ridgeLearner } from './learners/ridgeLearner.js';
import { residualPredictor } from './residual.js';

const trees = boostedTrees({ trees: 120, learningRate: 0.08, depth: 3, minLeaf: 4 });
const perceptron = mlp({ hidden: 12, steps: 400, batch: 48, learningRate: 0.01, decay: 3e-3 });
const ridge = ridgeLearner([0.01, 0.03, 0.1, 0.3, 1, 3, 10, 100]);

export const treesPredictor = residualPredictor({
  name: 'trees',
  description: 'Gradient-boosted trees over "features"; needs no table',
  minExamples: 30,
  base: featureRidgePredictor,
  learner: trees,
  describe: describeByValues,
});

export const mlpPredictor = residualPredictor({
  name: 'mlp',
  description: 'Perceptron over "features"; needs no table',
  minExamples: 30,
  base: featureRidgePredictor,
  learner: perceptron,
  describe: describeByValues,
});

export const tableRidgePredictor = residualPredictor({
  name: 'table-ridge',
  description: 'Ridge regression on every choice, over "corrected-table"',
  minExamples: 30,
  base: correctedTablePredictor,
  learner: ridge,
  describe: describeByChoices,
});

export const tableTreesPredictor = residualPredictor({
  name: 'table-trees',
  description: 'Gradient-boosted trees over "corrected-table"',
  minExamples: 30,
  base: correctedTablePredictor,
  learner: trees,
  describe: describeByValues,
});
