/**
 * Random forest (Breiman, "Random forests", Machine Learning 45, 2001): trees grown to the end on bootstrap samples, a third
 * of the places tried at each split. The variance is that between trees, as in SMAC (Hutter, Hoos and Leyton-Brown,
 * "Sequential model-based optimization for general algorithm configuration", LION 2011, 4.1).
 */
import { z } from 'zod';
import { validate } from '../../util/files.js';
import { createRandom } from '../../util/random.js';
import { askTrees, binColumns, flatten, ForestBuilder, type FlatForest } from '../../util/regressionTree.js';
import { definePredictor, type Model } from '../definePredictor.js';
import { forestTensors, storedForest } from './storedForest.js';

const NAME = 'random-forest';
const TREES = 200;

const settingsSchema = z.strictObject({
  trees: z.number().int().positive(),
  nodes: z.number().int().positive(),
});

function forestModel(forest: FlatForest, width: number): Model {
  const trees = forest.roots.length;
  return {
    predict(rows, count) {
      const mean = new Float64Array(count);
      const variance = new Float64Array(count);
      for (let row = 0; row < count; row++) {
        let sum = 0;
        let squares = 0;
        askTrees(forest, rows, row * width, (value) => {
          sum += value;
          squares += value * value;
        });
        mean[row] = sum / trees;
        variance[row] = Math.max(0, squares / trees - mean[row]! ** 2);
      }
      return Promise.resolve({ mean, variance });
    },
    tensors: forestTensors(forest),
    settings: { trees, nodes: forest.places.length },
    dispose: () => Promise.resolve(),
  };
}

export const randomForestPredictor = definePredictor({
  name: NAME,
  description: `${TREES} regression trees on bootstrap samples; the spread between them is the variance`,
  variance: true,

  fit({ rows, width, count, targets }, { seed }) {
    const columns = binColumns(rows, count, width);
    const random = createRandom(seed, 'random-forest');
    const settings = { depth: Infinity, minLeaf: 1, places: Math.ceil(width / 3) };
    const builder = new ForestBuilder(columns, settings, random);
    for (let tree = 0; tree < TREES; tree++)
      builder.grow(
        Int32Array.from({ length: count }, () => random.int(count)),
        targets,
      );
    return forestModel(flatten(builder), width);
  },

  restore(stored) {
    const where = `the state of accuracy predictor "${NAME}"`;
    const { trees, nodes } = validate(stored.settings, settingsSchema, where);
    return forestModel(storedForest(NAME, stored, trees, nodes), stored.width);
  },
});
