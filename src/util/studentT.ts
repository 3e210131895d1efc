/** Student's t distribution for whole degrees of freedom. */

/** Probability that |T| is at most `t` (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4). */
function withinProbability(t: number, freedom: number): number {
  const angle = Math.atan(t / Math.sqrt(freedom));
  const [sin, cos] = [Math.sin(angle), Math.cos(angle)];
  const odd = freedom % 2 === 1;
  let term = odd ? cos : 1;
  let sum = freedom === 1 ? 0 : term;
  for (let k = odd ? 3 : 2; k <= freedom - 2; k += 2) {
    term *= (cos ** 2 * (k - 1)) / k;
    sum += term;
  }
  return odd ? (2 / Math.PI) * (angle + sin * sum) : sin * sum;
}

/** The t that |T| is within with probability `share`, above 0 and below 1. Throws RangeError for other arguments. */
export function studentWithin(share: number, freedom: number): number {
  if (!(share > 0 && share < 1) || !Number.isInteger(freedom) || freedom < 1) {
    throw new RangeError(
      `Cannot tell a quantile of Student's t: a share between 0 and 1 and whole degrees of freedom are wanted: they are ${share} and ${freedom}`,
    );
  }
  // In the angle, which is bounded where t is not.
  let [low, high] = [0, Math.PI / 2];
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (withinProbability(Math.sqrt(freedom) * Math.tan(middle), freedom) < share) low = middle;
    else high = middle;
  }
  return Math.sqrt(freedom) * Math.tan(low);
}
