/** Choice of ranges against values counted one by one. */
import { describe, expect, it } from 'vitest';
import { activationGrid, onGrid } from '../../../src/export/int8/affine.js';
import {
  chooseRange,
  count,
  emptyHistogram,
  RANGE_METHODS,
  squaredError,
  type Histogram,
} from '../../../src/export/int8/ranges.js';
import { createRandom } from '../../../src/util/random.js';

function histogramOf(values: Float32Array): Histogram {
  const histogram = emptyHistogram({ min: Math.min(...values), max: Math.max(...values) });
  count(histogram, values);
  return histogram;
}

const random = createRandom('ranges');
const bell = Float32Array.from({ length: 20_000 }, () => random.normal());

describe('chooseRange', () => {
  it('counts every value once', () => {
    expect(histogramOf(bell).counts.reduce((sum, n) => sum + n, 0)).toBe(bell.length);
  });

  it('min-max takes all', () => {
    expect(chooseRange(histogramOf(bell), 'min-max')).toEqual({
      min: Math.min(...bell),
      max: Math.max(...bell),
    });
  });

  it('percentile leaves out one value in ten thousand at either end', () => {
    const { min, max } = chooseRange(histogramOf(bell), 'percentile');
    const outside = [...bell].filter((x) => x < min || x > max).length;
    expect(outside).toBeLessThanOrEqual(4);
    expect(max).toBeLessThan(Math.max(...bell));
    expect(min).toBeGreaterThan(Math.min(...bell));
  });

  it('mse has the least error, also counted value by value, of all methods', () => {
    const outlier = Float32Array.from([...bell, 40]);
    for (const values of [bell, outlier, bell.map((x) => Math.max(x, 0))]) {
      const histogram = histogramOf(values);
      const error = (range: { min: number; max: number }): number => {
        const grid = activationGrid(range);
        return values.reduce((sum, x) => sum + (x - onGrid(x, grid)) ** 2, 0) / values.length;
      };
      const best = chooseRange(histogram, 'mse');
      for (const method of RANGE_METHODS) {
        const other = chooseRange(histogram, method);
        expect(squaredError(histogram, best)).toBeLessThanOrEqual(squaredError(histogram, other) * 1.02);
        expect(error(best)).toBeLessThanOrEqual(error(other) * 1.05);
        // Bins are eight times finer than the grid: they tell the error of the values themselves.
        if (values !== outlier) expect(squaredError(histogram, other) / error(other)).toBeCloseTo(1, 0);
      }
    }
  });

  it.each(RANGE_METHODS)('%s of a constant is the constant', (method) => {
    const histogram = histogramOf(new Float32Array(10).fill(-2));
    expect(chooseRange(histogram, method)).toEqual({ min: -2, max: -2 });
  });
});
