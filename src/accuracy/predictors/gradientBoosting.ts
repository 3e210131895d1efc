/**
 * Gradient boosting of regression trees with square error (Friedman, "Greedy function approximation: a gradient boosting
 * machine", Annals of Statistics 29, 2001, algorithm 2), each tree on a random part of the samples (Friedman, "Stochastic
 * gradient boosting", 2002).
 */
import { z } from 'zod';
import { validate } from '../../util/files.js';
import { createRandom } from '../../util/random.js';
import { definePredictor, type Model } from '../definePredictor.js';
import {
  askTrees,
  binColumns,
  flatten,
  ForestBuilder,
  forestTensors,
  storedForest,
  type FlatForest,
} from './regressionTree.js';

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

  fit({ rows, width, count, targets }, { seed }) {
    const columns = binColumns(rows, count, width);
    const random = createRandom(seed, 'gradient-boosting');
    const settings = { depth: DEPTH, minLeaf: 1, places: Math.ceil(PLACE_SHARE * width) };
    const builder = new ForestBuilder(columns, settings, random);
    const all = Array.from({ length: count }, (_, i) => i);
    const part = Math.max(1, Math.round(SHARE * count));
    const residuals = Float64Array.from(targets);
    for (let tree = 0; tree < TREES; tree++) {
      builder.grow(Int32Array.from(random.shuffle(all).slice(0, part)), residuals, LEARNING_RATE);
      for (let row = 0; row < count; row++) residuals[row]! -= builder.askLast(rows, row * width);
    }
    return boostedModel(flatten(builder), width);
  },

  restore(stored) {
    const where = `the state of accuracy predictor "${NAME}"`;
    const { trees, nodes } = validate(stored.settings, settingsSchema, where);
    return boostedModel(storedForest(NAME, stored, trees, nodes), stored.width);
  },
});
