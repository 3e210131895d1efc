import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { averageRanks, kendallTauB, spearmanRho } from '../../src/util/statistics.js';

/** The definition, pair by pair. */
function bruteForceTauB(a: readonly number[], b: readonly number[]): number {
  let score = 0;
  let untiedA = 0;
  let untiedB = 0;
  for (let i = 0; i < a.length; i++) {
    for (let j = 0; j < i; j++) {
      const signA = Math.sign(a[i]! - a[j]!);
      const signB = Math.sign(b[i]! - b[j]!);
      score += signA * signB;
      untiedA += Math.abs(signA);
      untiedB += Math.abs(signB);
    }
  }
  return score / Math.sqrt(untiedA) / Math.sqrt(untiedB);
}

/** Small integers: many ties. */
const pairs = fc.array(fc.tuple(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 0, max: 9 })), {
  minLength: 2,
  maxLength: 40,
});

describe('kendallTauB', () => {
  it('equals the count over all pairs, with ties', () => {
    fc.assert(
      fc.property(pairs, (list) => {
        const a = list.map(([x]) => x);
        const b = list.map(([, y]) => y);
        const wanted = bruteForceTauB(a, b);
        const got = kendallTauB(a, b);
        if (Number.isNaN(wanted)) expect(got).toBeNaN();
        else expect(got).toBeCloseTo(wanted, 12);
      }),
      { numRuns: 500 },
    );
  });

  it('is 1 for the same order, -1 for the reverse, and known for a small example', () => {
    expect(kendallTauB([1, 2, 3, 4], [10, 20, 30, 40])).toBeCloseTo(1, 12);
    expect(kendallTauB([1, 2, 3, 4], [4, 3, 2, 1])).toBeCloseTo(-1, 12);
    // scipy.stats.kendalltau's documented example.
    expect(kendallTauB([12, 2, 1, 12, 2], [1, 4, 7, 1, 0])).toBeCloseTo(-0.47140452079103173, 12);
  });

  it('has no value for constant lists, and refuses lists that do not pair', () => {
    expect(kendallTauB([1, 1, 1], [1, 2, 3])).toBeNaN();
    expect(() => kendallTauB([1], [1, 2])).toThrow(RangeError);
    expect(() => kendallTauB([1, Number.NaN], [1, 2])).toThrow('NaN');
  });
});

describe('spearmanRho', () => {
  it('is 1 - 6 sum(d^2) / (n (n^2 - 1)) where there are no ties', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer(), { minLength: 2, maxLength: 30 }), (a) => {
        const b = a.map((value, i) => Math.sin(value + i) * 1000);
        const rank = (list: readonly number[], i: number): number =>
          list.filter((value) => value < list[i]!).length;
        const squares = a.reduce((sum, _, i) => sum + (rank(a, i) - rank(b, i)) ** 2, 0);
        fc.pre(new Set(b).size === b.length);
        expect(spearmanRho(a, b)).toBeCloseTo(1 - (6 * squares) / (a.length * (a.length ** 2 - 1)), 9);
      }),
    );
  });

  it('shares ranks between equal values', () => {
    expect(averageRanks([30, 10, 10, 20])).toEqual([4, 1.5, 1.5, 3]);
    // scipy.stats.spearmanr([1, 2, 3, 4, 5], [5, 6, 7, 8, 7])
    expect(spearmanRho([1, 2, 3, 4, 5], [5, 6, 7, 8, 7])).toBeCloseTo(0.8207826816681233, 12);
  });
});
