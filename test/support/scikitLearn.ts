/**
 * Small regression problems whose answers scikit-learn 1.2.1 gave; numbers of a linear congruential generator, exact in
 * float32: 24 rows of 3 places, their targets, 5 rows to predict.
 */
let state = 1n;
function next(): number {
  state = (state * 1103515245n + 12345n) % 2n ** 31n;
  return Number((state >> 16n) % 1024n) / 256;
}
const draw = (length: number): number[] => Array.from({ length }, next);

export const WIDTH = 3;
export const rows = Float32Array.from(draw(24 * WIDTH));
export const targets = draw(24);
export const queries = Float32Array.from(draw(5 * WIDTH));

/** `DecisionTreeRegressor(min_samples_leaf=3)`. */
export const treePredictions = [
  3.6744791666666665, 3.6744791666666665, 0.7529296875, 2.5559895833333335, 0.7529296875,
];

/** `GradientBoostingRegressor(n_estimators=20, learning_rate=0.3, max_depth=2)`. */
export const boostedPredictions = [
  3.241709374846033, 3.531116629044967, 0.5445612554693479, 1.7864238208885246, 0.8359675766547231,
];

/**
 * `GaussianProcessRegressor(1.7 * RBF([0.8, 1.3, 2.1]), alpha=0.05, optimizer=None)` on targets of mean 0 and deviation 1.
 */
export const processMeans = [
  0.6341482067503739, 1.1476497315982643, -1.4579947361312522, -0.18809823648552548, -0.7457828305169256,
];
export const processVariances = [
  0.03610047901398228, 0.735385296076007, 1.0540097393564092, 0.2253844960836393, 0.5491134491164219,
];
/** With the constant n / 2 log(2 pi). */
export const processLogLikelihood = -54.61631168523684;
