/** Standard errors against what draws give: figures of many samples spread as far as one sample says. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRandom, type Random } from '../../src/util/random.js';
import {
  chanceTau,
  fractionStandardError,
  kendallTauStandardError,
  pairedStandardError,
  rootMeanSquareStandardError,
} from '../../src/util/standardError.js';
import { kendallTauB } from '../../src/util/statistics.js';

const mean = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length;
const deviation = (values: readonly number[]): number => {
  const centre = mean(values);
  return Math.sqrt(mean(values.map((v) => (v - centre) ** 2)));
};
/** Figures of many samples, and what each sample says of its figure's standard error. */
function draws(
  count: number,
  figure: (random: Random) => readonly [value: number, standardError: number],
): { spread: number; told: number } {
  const all = Array.from({ length: count }, (_, i) => figure(createRandom('draw', i)));
  return { spread: deviation(all.map(([value]) => value)), told: mean(all.map(([, error]) => error)) };
}
/** About normal. */
const normal = (random: Random): number =>
  Array.from({ length: 12 }, () => random.float()).reduce((sum, v) => sum + v, -6);

describe('fractionStandardError', () => {
  it('is the binomial one, and never 0', () => {
    expect(fractionStandardError(0.5, 150)).toBeCloseTo(0.0408, 4);
    for (const certain of [0, 1]) expect(fractionStandardError(certain, 150)).toBeCloseTo(1 / 302, 10);
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5000 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (n, share) => {
          const p = Math.round(share * n) / n;
          const error = fractionStandardError(p, n);
          expect(error).toBeGreaterThan(0);
          expect(error).toBeLessThanOrEqual(0.5 / Math.sqrt(n));
          if (p > 0 && p < 1 && n > 3) expect(error).toBe(Math.sqrt((p * (1 - p)) / n));
        },
      ),
    );
  });

  it('refuses what is no fraction of images', () => {
    for (const [p, n] of [
      [1.1, 10],
      [-0.1, 10],
      [Number.NaN, 10],
      [0.5, 0],
    ] as const)
      expect(() => fractionStandardError(p, n)).toThrow(RangeError);
  });
});

describe('kendallTauStandardError', () => {
  it.each([0, 0.6, 2])('is how far taus of samples spread, whose signal is %d', (signal) => {
    const { spread, told } = draws(150, (random) => {
      const a = Array.from({ length: 40 }, () => normal(random));
      const b = a.map((x) => signal * x + normal(random));
      return [kendallTauB(a, b), kendallTauStandardError(a, b)];
    });
    expect(told / spread).toBeGreaterThan(0.8);
    expect(told / spread).toBeLessThan(1.25);
  });

  it('is that of chance where a list tells nothing', () => {
    expect(kendallTauStandardError([1, 1, 1], [1, 2, 3])).toBe(chanceTau(3));
    expect(kendallTauStandardError([1, 2], [1, 2])).toBe(chanceTau(2));
    expect(kendallTauStandardError([1], [1])).toBeNaN();
  });
});

it('rootMeanSquareStandardError is how far those of samples spread', () => {
  const { spread, told } = draws(150, (random) => {
    const errors = Array.from({ length: 60 }, () => normal(random));
    return [Math.sqrt(mean(errors.map((e) => e ** 2))), rootMeanSquareStandardError(errors)];
  });
  expect(told / spread).toBeGreaterThan(0.8);
  expect(told / spread).toBeLessThan(1.25);
  expect(rootMeanSquareStandardError([0, 0, 0])).toBe(0);
  expect(rootMeanSquareStandardError([1])).toBeNaN();
});

it('pairedStandardError is how far differences on the same images spread, and never 0', () => {
  const { spread, told } = draws(200, (random) => {
    let [first, second] = [0, 0];
    for (let image = 0; image < 300; image++) {
      const hard = random.float();
      const [a, b] = [hard < 0.7, random.float() < 0.1 ? hard >= 0.7 : hard < 0.6];
      first += Number(a && !b);
      second += Number(b && !a);
    }
    return [(first - second) / 300, pairedStandardError(first, second, 300)];
  });
  expect(told / spread).toBeGreaterThan(0.85);
  expect(told / spread).toBeLessThan(1.2);
  expect(pairedStandardError(0, 0, 100)).toBeGreaterThan(0);
});
