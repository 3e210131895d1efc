/** Pareto fronts of two quantities: the most of one (accuracy) for the least of the other (latency). */

export interface Point {
  /** Less is better. */
  readonly cost: number;
  /** More is better. */
  readonly value: number;
}

/** No other point has at most the cost and at least the value of these; by ascending cost, of equal points the first. */
export function nonDominated<P extends Point>(points: readonly P[]): P[] {
  const front = new ParetoFront<P>();
  for (const point of points) front.add(point);
  return front.points();
}

/** A front that grows point by point, in memory of its own size. */
export class ParetoFront<P extends Point> {
  /** Ascending in cost and in value. */
  readonly #points: P[] = [];

  /** Whether the point would be on the front. */
  accepts(point: Point): boolean {
    const before = this.#points[this.#after(point) - 1];
    return before === undefined || before.value < point.value;
  }

  /** Whether the point is on the front now; dominated ones leave it. */
  add(point: P): boolean {
    if (!this.accepts(point)) return false;
    const points = this.#points;
    let at = this.#after(point);
    const before = points[at - 1];
    let end = at;
    while (end < points.length && points[end]!.value <= point.value) end++;
    if (before?.cost === point.cost) at--;
    points.splice(at, end - at, point);
    return true;
  }

  /** By ascending cost. */
  points(): P[] {
    return [...this.#points];
  }

  /** Index of the first point that costs more. */
  #after({ cost }: Point): number {
    return firstIndex(this.#points, (other) => other.cost > cost);
  }
}

/** Of a list in which `test` is false first, then true. */
function firstIndex<P>(list: readonly P[], test: (item: P) => boolean): number {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (test(list[middle]!)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/**
 * Area that the points dominate within the reference point (Zitzler and Thiele, 1999): larger is a better front. Points
 * beyond the reference (cost above, or value below) count nothing.
 */
export function hypervolume(points: readonly Point[], reference: Point): number {
  const front = nonDominated(points.filter((p) => p.cost < reference.cost && p.value > reference.value));
  let area = 0;
  let value = reference.value;
  for (const point of front) {
    area += (reference.cost - point.cost) * (point.value - value);
    value = point.value;
  }
  return area;
}
