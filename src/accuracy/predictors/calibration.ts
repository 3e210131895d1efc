/** Scores that were trained for their order only have no scale. */

/**
 * The straight line of least squares from `scores` to `targets`. Never falling, as that would turn the order round: scores
 * that say nothing become the mean of the targets.
 */
export function lineOntoTargets(
  scores: ArrayLike<number>,
  targets: ArrayLike<number>,
): { readonly slope: number; readonly offset: number } {
  const n = scores.length;
  let scoreMean = 0;
  let targetMean = 0;
  for (let i = 0; i < n; i++) {
    scoreMean += scores[i]! / n;
    targetMean += targets[i]! / n;
  }
  let covariance = 0;
  let variance = 0;
  for (let i = 0; i < n; i++) {
    covariance += (scores[i]! - scoreMean) * (targets[i]! - targetMean);
    variance += (scores[i]! - scoreMean) ** 2;
  }
  const slope = variance > 0 ? Math.max(0, covariance / variance) : 0;
  return { slope, offset: targetMean - slope * scoreMean };
}
