import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hypervolume, nonDominated, type Point } from '../../src/search/pareto.js';

const points = fc.array(
  fc.record({ cost: fc.integer({ min: 0, max: 12 }), value: fc.integer({ min: 0, max: 12 }) }),
  { maxLength: 40 },
);
const dominates = (a: Point, b: Point): boolean =>
  a.cost <= b.cost && a.value >= b.value && (a.cost < b.cost || a.value > b.value);

describe('nonDominated', () => {
  it('is what the definition says, by ascending cost, equal points once', () => {
    fc.assert(
      fc.property(points, (all) => {
        const front = nonDominated(all);
        const wanted = all.filter((p) => !all.some((other) => dominates(other, p)));
        const text = (list: readonly Point[]) => [...new Set(list.map((p) => `${p.cost},${p.value}`))].sort();
        expect(text(front)).toEqual(text(wanted));
        expect(new Set(front.map((p) => `${p.cost},${p.value}`)).size).toBe(front.length);
        front.slice(1).forEach((p, i) => expect(p.cost).toBeGreaterThan(front[i]!.cost));
      }),
    );
  });

  it('does not depend on the order of points', () => {
    fc.assert(
      fc.property(points, (all) => {
        expect(nonDominated([...all].reverse())).toEqual(nonDominated(all));
      }),
    );
  });
});

describe('hypervolume', () => {
  it('is the number of dominated cells of a grid', () => {
    fc.assert(
      fc.property(points, (all) => {
        const reference = { cost: 10, value: 2 };
        let cells = 0;
        for (let x = 0; x < 10; x++)
          for (let y = 2; y < 13; y++) if (all.some((p) => p.cost <= x && p.value >= y + 1)) cells++;
        expect(hypervolume(all, reference)).toBe(cells);
      }),
    );
  });
});
