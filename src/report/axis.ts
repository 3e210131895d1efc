/** Axes with round ends and steps, also for one value or none. */

export interface AxisRange {
  readonly min: number;
  readonly max: number;
  readonly interval: number;
  /** That labels need. */
  readonly decimals: number;
}

/** 1, 2, 2.5 or 5 times a power of ten, at least `value`. */
export function roundStep(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const factor = [1, 2, 2.5, 5, 10].find((candidate) => candidate * power >= value * (1 - 1e-9)) ?? 10;
  return factor * power;
}

/** Decimals that tell multiples of `step` apart. */
export function stepDecimals(step: number): number {
  for (let decimals = 0; decimals < 12; decimals++) {
    if (Math.abs(Number(step.toFixed(decimals)) - step) < step * 1e-6) return decimals;
  }
  return 12;
}

/** Distance of two values; a share of their size where they are the same but for rounding, 1 where both are zero. */
function spreadOf(low: number, high: number, share: number): number {
  const size = Math.max(Math.abs(low), Math.abs(high));
  if (high - low > 1e-6 * size && high - low > 1e-12) return high - low;
  return size > 1e-12 ? size * share : 1;
}

/** Covers all values with a margin; never reaches below `floor` or above `ceiling`. */
export function axisRange(
  values: readonly number[],
  { floor = -Infinity, ceiling = Infinity, steps = 6 } = {},
): AxisRange {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) [low, high] = [0, 1];
  const spread = spreadOf(low, high, 0.2);
  const interval = roundStep((1.08 * spread) / steps);
  const round = (value: number): number => Number(value.toPrecision(12));
  let min = round(Math.max(floor, Math.floor((low - 0.04 * spread) / interval) * interval));
  let max = round(Math.min(ceiling, Math.ceil((high + 0.04 * spread) / interval) * interval));
  if (min >= max) [min, max] = [Math.min(min, low - interval), Math.max(max, low + interval)];
  return { min, max, interval, decimals: stepDecimals(interval) };
}

export interface Bin {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

/** Equal bins with round edges, about the square root of the number of values but at most `most`; [] for no values. */
export function histogram(values: readonly number[], most = 24): Bin[] {
  if (values.length === 0) return [];
  const low = values.reduce((a, b) => Math.min(a, b));
  const high = values.reduce((a, b) => Math.max(a, b));
  const wanted = Math.min(most, Math.max(5, Math.ceil(Math.sqrt(values.length))));
  const step = roundStep(spreadOf(low, high, 0.1) / wanted);
  const first = Math.floor(low / step + 1e-9);
  const last = Math.floor(high / step + 1e-9);
  const counts = new Array<number>(last - first + 1).fill(0);
  for (const value of values) counts[Math.floor(value / step + 1e-9) - first]!++;
  return counts.map((count, i) => ({
    from: Number(((first + i) * step).toPrecision(12)),
    to: Number(((first + i + 1) * step).toPrecision(12)),
    count,
  }));
}

/** At most `most` items, evenly spread over the list and always with its last. */
export function thin<T>(items: readonly T[], most: number): readonly T[] {
  if (items.length <= most) return items;
  return Array.from({ length: most }, (_, i) => items[Math.round((i * (items.length - 1)) / (most - 1))]!);
}
