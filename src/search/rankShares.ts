/** Scores as shares of the scores that are no better: models learn the order, whatever the scores' unit and skew. */
import { averageRanks } from '../util/statistics.js';

/** In (0, 1), equal for equal scores, larger for larger ones. */
export function rankShares(scores: readonly number[]): number[] {
  return averageRanks(scores).map((rank) => (rank - 0.5) / scores.length);
}
