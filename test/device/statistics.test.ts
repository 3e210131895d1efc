import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  driftTolerance,
  earlyStoppingP90,
  halfWidth95,
  isSteady,
  lag1Autocorrelation,
  mlperfOverlatency,
  outlierCounts,
} from '../../src/device/statistics.js';
import { createRandom } from '../../src/util/random.js';

/** The binomial distribution function, from exact binomial coefficients. */
function binomialAtMost(n: number, t: number): number {
  let sum = 0;
  let coefficient = 1n;
  for (let k = 0; k <= t; k++) {
    // In units of 10^-n: C(n, k) * 9^(n - k).
    sum += Number((coefficient * 9n ** BigInt(n - k) * 10n ** 20n) / 10n ** BigInt(n)) / 1e20;
    coefficient = (coefficient * BigInt(n - k)) / BigInt(k + 1);
  }
  return sum;
}

describe('early stopping of the 90th percentile', () => {
  it.each([
    [64, 1],
    [100, 3],
    [150, 6],
    [200, 10],
    [300, 18],
    [500, 34],
    [1024, 80],
  ])('sets t for %i samples to %i, by the exact binomial distribution', (n, t) => {
    expect(mlperfOverlatency(n)).toBe(t);
    expect(binomialAtMost(n, t)).toBeLessThanOrEqual(0.01);
    expect(binomialAtMost(n, t + 1)).toBeGreaterThan(0.01);
  });

  it('has no value below 64 samples', () => {
    for (let n = 0; n < 64; n++) expect(earlyStoppingP90(new Array<number>(n).fill(1))).toBeNull();
  });

  it('reports the slowest after t - 1 are set aside', () => {
    const samples = Array.from({ length: 100 }, (_, i) => i + 1);
    expect(earlyStoppingP90(samples)).toBe(98);
    expect(earlyStoppingP90(samples.slice(0, 64))).toBe(64);
  });

  it('also ends for more samples than 0.9^n can express', () => {
    expect(mlperfOverlatency(20_000)).toBeGreaterThan(1800);
    expect(mlperfOverlatency(20_000)).toBeLessThan(2000);
  });
});

describe('halfWidth95', () => {
  it("is t times the standard error: Student's own sleep data", () => {
    // Extra hours of sleep, ten patients, difference of two drugs; R's t.test gives 0.7001142 .. 2.4598858.
    const differences = [1.2, 2.4, 1.3, 1.3, 0, 1, 1.8, 0.8, 4.6, 1.4];
    expect(halfWidth95(differences)).toBeCloseTo((2.4598858 - 0.7001142) / 2, 3);
  });

  it('is unbounded for one value and 0 for equal ones', () => {
    expect(halfWidth95([3])).toBe(Number.POSITIVE_INFINITY);
    expect(halfWidth95([3, 3, 3])).toBe(0);
  });
});

describe('lag1Autocorrelation', () => {
  it('is near -1 for alternation, near 1 for a slow wave, and bounded', () => {
    const many = Array.from({ length: 1000 }, (_, i) => i);
    expect(lag1Autocorrelation(many.map((i) => i % 2))).toBeCloseTo(-1, 2);
    expect(lag1Autocorrelation(many.map((i) => Math.sin(i / 100)))).toBeGreaterThan(0.99);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 1000 })), (samples) => {
        expect(Math.abs(lag1Autocorrelation(samples))).toBeLessThanOrEqual(1);
      }),
    );
  });
});

describe('outlierCounts', () => {
  it('tells mild from severe by the fences', () => {
    // Quartiles 25 and 75 of 1..99: fences at -50 .. 150 and -125 .. 225.
    const samples = Array.from({ length: 99 }, (_, i) => i + 1);
    expect(outlierCounts(samples)).toEqual({ mild: 0, severe: 0 });
    expect(outlierCounts([...samples, 160, 400])).toEqual({ mild: 1, severe: 1 });
  });
});

describe('isSteady', () => {
  it('compares the medians of the last two windows', () => {
    expect(isSteady([100, 100, 100, 102, 102, 102], 3, 0.03)).toBe(true);
    expect(isSteady([100, 100, 100, 104, 104, 104], 3, 0.03)).toBe(false);
    expect(isSteady([100, 100, 100, 100, 100], 3, 0.03)).toBe(false);
  });
});

describe('driftTolerance', () => {
  const readings = (deviation: number): number[] => {
    const random = createRandom('readings');
    return Array.from({ length: 20_000 }, () => 2 * (1 + deviation * random.normal()));
  };

  it("is the protocol's on a steady machine, and three deviations on one that is not", () => {
    expect(driftTolerance([2, 2], 0.03)).toBe(0.06);
    expect(driftTolerance(readings(0.001), 0.03)).toBe(0.03);
    expect(driftTolerance(readings(0.02), 0.03)).toBeCloseTo(0.06, 2);
  });

  it('has a limit, and is not widened by a machine that was slower for a while', () => {
    expect(driftTolerance(readings(0.2), 0.03)).toBeCloseTo(0.09, 12);
    const slower = readings(0.001).map((ms, i) => (i < 6000 ? 1.5 * ms : ms));
    expect(driftTolerance(slower, 0.03)).toBe(0.03);
  });
});
