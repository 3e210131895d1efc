/**
 * Gradient boosting of regression trees with square error (Friedman, "Greedy function approximation: a gradient boosting
 * machine", Annals of Statistics 29, 2001, algorithm 2), each tree on a random part of the samples where `share` is given
 * (Friedman, "Stochastic gradient boosting", 2002).
 */
import type { Random } from './random.js';
import { binColumns, ForestBuilder, type GrowthSettings, type Rows } from './regressionTree.js';

export interface BoostingSettings extends GrowthSettings {
  readonly trees: number;
  readonly learningRate: number;
  /** Of the samples, for each tree; all of them unless given. */
  readonly share?: number;
}

/** Trees whose sum approximates `targets`, which should have mean 0. `random`: needed for `share` and `places`. */
export function boost(
  rows: Rows,
  targets: ArrayLike<number>,
  width: number,
  settings: BoostingSettings,
  random?: Random,
): ForestBuilder {
  const { trees, learningRate, share } = settings;
  const count = targets.length;
  const builder = new ForestBuilder(binColumns(rows, count, width), settings, random);
  const all = Array.from({ length: count }, (_, i) => i);
  const part = Math.max(1, Math.round((share ?? 1) * count));
  const residuals = Float64Array.from(targets);
  for (let tree = 0; tree < trees; tree++) {
    const drawn = share === undefined || random === undefined ? all : random.shuffle(all).slice(0, part);
    builder.grow(Int32Array.from(drawn), residuals, learningRate);
    for (let row = 0; row < count; row++) residuals[row]! -= builder.askLast(rows, row * width);
  }
  return builder;
}
