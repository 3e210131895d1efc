/** Gradient boosting of regression trees (src/util/gradientBoosting.ts), each on a random part of the samples and places. */
import { z } from 'zod';
import { validate } from '../../util/files.js';
import { boost } from '../../util/gradientBoosting.js';
import { createRandom } from '../../util/random.js';
import { askTrees, flatten, type FlatForest } from '../../util/regressionTree.js';
import { definePredictor, type Model } from '../definePredictor.js';
import { forestTensors, storedForest } from './storedForest.js';

const NAME = 'gradient-boosting';
const TREES = 500;
const LEARNING_RATE = 0.05;
const DEPTH = 3;
/** Of the samples, for each tree: Friedman's own choice. */
const SHARE = 0.5;
/** Of the places, for each split. */
const PLACE_SHARE = 0.5;

const settingsSchema = z.strictObject({
  trees: z.number().int().positive(),
  nodes: z.number().int().positive(),
});

/** Targets have mean 0, so the sum starts from there. */
function boostedModel(forest: FlatForest, width: number): Model {
  return {
    predict(rows, count) {
      const mean = new Float64Array(count);
      for (let row = 0; row < count; row++) {
        askTrees(forest, rows, row * width, (value) => {
          mean[row]! += value;
        });
      }
      return Promise.resolve({ mean });
    },
    tensors: forestTensors(forest),
    settings: { trees: forest.roots.length, nodes: forest.places.length },
    dispose: () => Promise.resolve(),
  };
}

export const gradientBoostingPredictor = definePredictor({
  name: NAME,
  description: `${TREES} regression trees of depth ${DEPTH}, each fitted to what the others leave`,
  variance: false,

  fit({ rows, width, targets }, { seed }) {
    const settings = {
      trees: TREES,
      learningRate: LEARNING_RATE,
      depth: DEPTH,
      minLeaf: 1,
      share: SHARE,
      places: Math.ceil(PLACE_SHARE * width),
    };
    const random = createRandom(seed, 'gradient-boosting');
    return boostedModel(flatten(boost(rows, targets, width, settings, random)), width);
  },

  restore(stored) {
    const where = `the state of accuracy predictor "${NAME}"`;
    const { trees, nodes } = validate(stored.settings, settingsSchema, where);
    return boostedModel(storedForest(NAME, stored, trees, nodes), stored.width);
  },
});
