/** Pareto fronts. Points are lists of gains, one an objective: more is better in each (`gainsOf`). */

export type Gains = readonly number[];

/** At least as good in every objective, and better in one. */
export function dominates(a: Gains, b: Gains): boolean {
  let better = false;
  for (let i = 0; i < a.length; i++) {
    if (a[i]! < b[i]!) return false;
    if (a[i]! > b[i]!) better = true;
  }
  return better;
}

/**
 * Rank of every point: 0 for those that none dominates, 1 for those that only those of rank 0 dominate, and so on (Deb et
 * al., "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II", 2002, section III-A). Quadratic in the points, but for
 * two objectives.
 */
export function nonDominatedRanks(points: readonly Gains[]): number[] {
  if (points[0]?.length === 2) return ranksOfPairs(points);
  const dominated = points.map((): number[] => []);
  const dominators = points.map(() => 0);
  for (let i = 0; i < points.length; i++) {
    for (let j = i + 1; j < points.length; j++) {
      if (dominates(points[i]!, points[j]!)) {
        dominated[i]!.push(j);
        dominators[j]!++;
      } else if (dominates(points[j]!, points[i]!)) {
        dominated[j]!.push(i);
        dominators[i]!++;
      }
    }
  }
  const ranks = points.map(() => -1);
  let current = points.flatMap((_, i) => (dominators[i] === 0 ? [i] : []));
  for (let rank = 0; current.length > 0; rank++) {
    const next: number[] = [];
    for (const i of current) {
      ranks[i] = rank;
      for (const j of dominated[i]!) if (--dominators[j]! === 0) next.push(j);
    }
    current = next;
  }
  return ranks;
}

/**
 * By a sweep along the first gain (Jensen, "Reducing the run-time complexity of multiobjective EAs", 2003, section III-B):
 * the point added to a front last has its greatest second gain, so it dominates a new point if any of the front does.
 */
function ranksOfPairs(points: readonly Gains[]): number[] {
  const ranks = points.map(() => 0);
  const order = [...points.keys()].sort(
    (a, b) => points[b]![0]! - points[a]![0]! || points[b]![1]! - points[a]![1]!,
  );
  const lasts: Gains[] = [];
  for (const i of order) {
    const point = points[i]!;
    let [low, high] = [0, lasts.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (dominates(lasts[middle]!, point)) low = middle + 1;
      else high = middle;
    }
    lasts[low] = point;
    ranks[i] = low;
  }
  return ranks;
}

/**
 * How far each point is from its neighbours along the front that `points` are: the sum over objectives of the distance of
 * the two next to it, as a share of the front's extent; infinite for the ends (Deb et al., 2002, section III-B).
 */
export function crowdingDistances(points: readonly Gains[]): number[] {
  const distances = points.map(() => 0);
  for (let objective = 0; objective < (points[0]?.length ?? 0); objective++) {
    const value = (i: number): number => points[i]![objective]!;
    const order = points.map((_, i) => i).sort((a, b) => value(a) - value(b));
    const [first, last] = [order[0]!, order[order.length - 1]!];
    const extent = value(last) - value(first);
    distances[first] = Number.POSITIVE_INFINITY;
    distances[last] = Number.POSITIVE_INFINITY;
    if (extent === 0) continue;
    for (let i = 1; i + 1 < order.length; i++) {
      distances[order[i]!]! += (value(order[i + 1]!) - value(order[i - 1]!)) / extent;
    }
  }
  return distances;
}

/** Those that no other dominates; of equal ones the first. By ascending last gain. */
export function nonDominated<P>(points: readonly P[], gains: (point: P) => Gains): P[] {
  const front = new ParetoFront(gains);
  for (const point of points) front.add(point);
  return front.points();
}

/** A front that grows point by point, in memory of its own size. */
export class ParetoFront<P> {
  #entries: { readonly point: P; readonly gains: Gains }[] = [];

  constructor(private readonly gains: (point: P) => Gains) {}

  /** Whether a point of these gains would be on the front: no other is at least as good in everything. */
  accepts(gains: Gains): boolean {
    if (gains.length === 2) {
      const next = this.#entries[this.#from(gains[1]!)];
      return next === undefined || next.gains[0]! < gains[0]!;
    }
    return !this.#entries.some((other) => other.gains.every((gain, i) => gain >= gains[i]!));
  }

  /** Whether the point is on the front now; dominated ones leave it. */
  add(point: P): boolean {
    const gains = this.gains(point);
    if (!this.accepts(gains)) return false;
    if (gains.length === 2) {
      // Ascending in the second gain, and so descending in the first: those that leave stand side by side.
      const end = this.#from(gains[1]!, true);
      let start = end;
      while (start > 0 && this.#entries[start - 1]!.gains[0]! <= gains[0]!) start--;
      this.#entries.splice(start, end - start, { point, gains });
      return true;
    }
    this.#entries = this.#entries.filter((other) => !dominates(gains, other.gains));
    this.#entries.push({ point, gains });
    return true;
  }

  /** By ascending last gain. */
  points(): P[] {
    const last = (gains: Gains): number => gains[gains.length - 1]!;
    return [...this.#entries].sort((a, b) => last(a.gains) - last(b.gains)).map(({ point }) => point);
  }

  get size(): number {
    return this.#entries.length;
  }

  /** Of two objectives: index of the first whose second gain is at least `gain` (`beyond`: greater). */
  #from(gain: number, beyond = false): number {
    let [low, high] = [0, this.#entries.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#entries[middle]!.gains[1]!;
      if (beyond ? other > gain : other >= gain) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/**
 * Volume that the points dominate above the reference point (Zitzler and Thiele, "Multiobjective Evolutionary Algorithms: A
 * Comparative Case Study and the Strength Pareto Approach", 1999): larger is a better front. Exact, by slices along the last
 * objective; n^(d-1) log n steps for n points of d objectives. Points that are not above the reference in everything count
 * nothing.
 */
export function hypervolume(points: readonly Gains[], reference: Gains): number {
  const above = points.filter((point) => point.every((gain, i) => gain > reference[i]!));
  return slices(above, reference, reference.length);
}

/** Of the first `count` objectives. */
function slices(points: readonly Gains[], reference: Gains, count: number): number {
  if (points.length === 0) return 0;
  const last = count - 1;
  if (last === 0) return Math.max(...points.map((point) => point[0]!)) - reference[0]!;
  const sorted = [...points].sort((a, b) => b[last]! - a[last]!);
  let volume = 0;
  if (last === 1) {
    let best = reference[0]!;
    for (const point of sorted) {
      if (point[0]! <= best) continue;
      volume += (point[0]! - best) * (point[1]! - reference[1]!);
      best = point[0]!;
    }
    return volume;
  }
  for (let i = 0; i < sorted.length; i++) {
    const below = sorted[i + 1]?.[last] ?? reference[last]!;
    const height = sorted[i]![last]! - below;
    if (height > 0) volume += height * slices(sorted.slice(0, i + 1), reference, last);
  }
  return volume;
}
