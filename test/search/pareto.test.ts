import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  crowdingDistances,
  dominates,
  hypervolume,
  nonDominated,
  nonDominatedRanks,
  type Gains,
} from '../../src/search/pareto.js';
import { createRandom } from '../../src/util/random.js';

const clouds = (objectives: number) =>
  fc.array(fc.array(fc.integer({ min: 0, max: 9 }), { minLength: objectives, maxLength: objectives }), {
    maxLength: 30,
  });
const anyCloud = fc.constantFrom(1, 2, 3, 4).chain(clouds);

/** By the words of the definition. */
const beats = (a: Gains, b: Gains): boolean =>
  a.every((gain, i) => gain >= b[i]!) && a.some((gain, i) => gain > b[i]!);
const text = (list: readonly Gains[]): string[] => [...new Set(list.map((point) => point.join()))].sort();
const self = (point: Gains): Gains => point;

describe('dominates', () => {
  it('is what the definition says', () => {
    fc.assert(
      fc.property(anyCloud, (all) => {
        for (const a of all) for (const b of all) expect(dominates(a, b)).toBe(beats(a, b));
      }),
    );
  });
});

describe('nonDominated', () => {
  it('is what the definition says, by ascending last gain, equal points once', () => {
    fc.assert(
      fc.property(anyCloud, (all) => {
        const front = nonDominated(all, self);
        const wanted = all.filter((point) => !all.some((other) => beats(other, point)));
        expect(text(front)).toEqual(text(wanted));
        expect(new Set(front.map((point) => point.join())).size).toBe(front.length);
        front.slice(1).forEach((point, i) => expect(point.at(-1)!).toBeGreaterThanOrEqual(front[i]!.at(-1)!));
      }),
    );
  });

  it('does not depend on the order of points', () => {
    fc.assert(
      fc.property(anyCloud, (all) => {
        expect(text(nonDominated([...all].reverse(), self))).toEqual(text(nonDominated(all, self)));
      }),
    );
  });

  it('keeps the first of equal points', () => {
    const points = [
      { gains: [1, 2], name: 'first' },
      { gains: [1, 2], name: 'second' },
    ];
    expect(nonDominated(points, ({ gains }) => gains)).toEqual([points[0]]);
  });
});

describe('nonDominatedRanks', () => {
  it('peels front after front', () => {
    fc.assert(
      fc.property(anyCloud, (all) => {
        const ranks = nonDominatedRanks(all);
        let left = all.map((_, i) => i);
        for (let rank = 0; left.length > 0; rank++) {
          const front = left.filter((i) => !left.some((j) => beats(all[j]!, all[i]!)));
          for (const i of front) expect(ranks[i]).toBe(rank);
          left = left.filter((i) => !front.includes(i));
        }
      }),
    );
  });
});

describe('crowdingDistances', () => {
  it('is the sum of the gaps around a point, as shares of the extent', () => {
    const front = [
      [0, 10],
      [1, 8],
      [4, 4],
      [10, 0],
    ];
    const distances = crowdingDistances(front);
    expect(distances[0]).toBe(Number.POSITIVE_INFINITY);
    expect(distances[3]).toBe(Number.POSITIVE_INFINITY);
    expect(distances[1]).toBeCloseTo(4 / 10 + 6 / 10, 12);
    expect(distances[2]).toBeCloseTo(9 / 10 + 8 / 10, 12);
  });

  it('is a number for fronts without extent, and for one point', () => {
    for (const points of [[[3, 3]], Array.from({ length: 5 }, () => [2, 7])])
      for (const distance of crowdingDistances(points)) expect(distance).not.toBeNaN();
    expect(crowdingDistances([])).toEqual([]);
  });
});

describe('hypervolume', () => {
  it.each([1, 2, 3])('of %i objectives is the number of dominated cells of a grid', (objectives) => {
    fc.assert(
      fc.property(clouds(objectives), (all) => {
        const low = 2;
        const cells = (cell: number[]): number => {
          if (cell.length === objectives)
            return all.some((point) => point.every((gain, i) => gain >= cell[i]! + 1)) ? 1 : 0;
          let sum = 0;
          for (let x = low; x < 9; x++) sum += cells([...cell, x]);
          return sum;
        };
        expect(hypervolume(all, new Array<number>(objectives).fill(low))).toBe(cells([]));
      }),
      { numRuns: 50 },
    );
  });

  it.each([2, 3, 4])('of %i objectives agrees with a Monte Carlo estimate', (objectives) => {
    const random = createRandom(objectives);
    const draw = (): number[] => Array.from({ length: objectives }, () => random.float());
    const points = Array.from({ length: 12 }, draw);
    const samples = 40_000;
    let inside = 0;
    for (let i = 0; i < samples; i++) {
      const sample = draw();
      if (points.some((point) => point.every((gain, j) => gain >= sample[j]!))) inside++;
    }
    const volume = hypervolume(points, new Array<number>(objectives).fill(0));
    const deviation = Math.sqrt((volume * (1 - volume)) / samples);
    expect(Math.abs(volume - inside / samples)).toBeLessThan(4 * deviation);
  });

  it('ignores points that are not above the reference, and is 0 without points', () => {
    expect(
      hypervolume(
        [
          [5, 0],
          [0, 5],
        ],
        [1, 1],
      ),
    ).toBe(0);
    expect(hypervolume([], [0, 0])).toBe(0);
  });
});
