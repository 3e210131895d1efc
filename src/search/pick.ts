/** Chooses one network of a front. */
import { UserError } from '../util/errors.js';
import type { Gains } from './pareto.js';
import type { Direction, ObjectiveInfo } from './trial.js';

/** `min-latency`: on the first device. */
export const PICK_RULES = ['knee', 'max-accuracy', 'min-latency'] as const;
export type PickRule = (typeof PICK_RULES)[number];

/**
 * The knee: where giving up a little of one objective stops to gain much of another. With two objectives it is the point
 * farthest from the line between the ends of the front (Das, "On characterizing the knee of the Pareto curve based on
 * normal-boundary intersection", Structural Optimization 18, 1999), which is that of the greatest sum of gains, each scaled to
 * the front's extent; with more, that sum is what counts. Of equal ones, as in a front of two or a straight one, the best in
 * the first objective. Throws RangeError for an empty front.
 */
export function kneeOf(points: readonly Gains[]): number {
  const [first] = points;
  if (first === undefined) throw new RangeError('Cannot find the knee of a front: it is empty');
  const extents = first.map((_, objective) => {
    const gains = points.map((point) => point[objective]!);
    const low = gains.reduce((a, b) => Math.min(a, b));
    return { low, extent: gains.reduce((a, b) => Math.max(a, b)) - low };
  });
  const sums = points.map((point) =>
    extents.reduce((sum, { low, extent }, i) => sum + (extent === 0 ? 0 : (point[i]! - low) / extent), 0),
  );
  const most = sums.reduce((a, b) => Math.max(a, b));
  // But for rounding: the ends of a front of two have 0 + 1 and 1 + 0.
  const equal = [...sums.keys()].filter((i) => sums[i]! >= most - 1e-12);
  return equal.reduce((a, b) => (points[b]![0]! > points[a]![0]! ? b : a));
}

/** Index of the objective that the rule asks about; undefined for the knee. */
function objectiveOf(rule: PickRule, objectives: readonly ObjectiveInfo[]): number | undefined {
  if (rule === 'knee') return undefined;
  const wanted: { what: string; direction: Direction } =
    rule === 'max-accuracy'
      ? { what: 'accuracy', direction: 'maximize' }
      : { what: 'latencyMs', direction: 'minimize' };
  const found = objectives.findIndex(
    ({ name, direction }) => name.split('.')[0] === wanted.what && direction === wanted.direction,
  );
  if (found >= 0) return found;
  throw new UserError(
    `Cannot pick by ${rule}: ${wanted.what} must be one of the objectives: they are ${objectives.map(({ name }) => name).join(', ')}`,
  );
}

/** Throws UserError for a rule that does not fit the objectives: before a search, as after it. */
export function checkPick(rule: PickRule, objectives: readonly ObjectiveInfo[]): void {
  objectiveOf(rule, objectives);
}

/** Index of the point that the rule chooses. Throws as `kneeOf` and `checkPick`. */
export function pickPoint(
  rule: PickRule,
  points: readonly Gains[],
  objectives: readonly ObjectiveInfo[],
): number {
  const objective = objectiveOf(rule, objectives);
  if (objective === undefined) return kneeOf(points);
  if (points.length === 0) throw new RangeError('Cannot pick a point of a front: it is empty');
  return [...points.keys()].reduce((a, b) => (points[b]![objective]! > points[a]![objective]! ? b : a));
}
