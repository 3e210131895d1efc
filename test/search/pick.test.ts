import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nonDominated } from '../../src/search/pareto.js';
import { checkPick, kneeOf, pickPoint } from '../../src/search/pick.js';

const accuracy = { name: 'accuracy', direction: 'maximize' as const };
const latency = { name: 'latencyMs', direction: 'minimize' as const };
const macs = { name: 'macs', direction: 'minimize' as const };

/** Distance from the line between two points, by its equation. */
function distance(
  [x, y]: readonly number[],
  [ax, ay]: readonly number[],
  [bx, by]: readonly number[],
): number {
  const [dx, dy] = [bx! - ax!, by! - ay!];
  return (dy * (x! - ax!) - dx * (y! - ay!)) / Math.hypot(dx, dy);
}

describe('kneeOf', () => {
  it('is the point farthest beyond the line between the ends, each objective in shares of its extent', () => {
    const point = fc.tuple(fc.integer({ min: 0, max: 50 }), fc.integer({ min: -1000, max: 1000 }));
    fc.assert(
      fc.property(fc.array(point, { minLength: 3, maxLength: 20 }), (points) => {
        const front = nonDominated(points, (own) => own);
        const [first, last] = [front[0]!, front[front.length - 1]!];
        const scaled = front.map(([a, b]) => [
          (a - last[0]) / (first[0] - last[0] || 1),
          (b - first[1]) / (last[1] - first[1] || 1),
        ]);
        const far = scaled.map((own) => distance(own, scaled[0]!, scaled[scaled.length - 1]!));
        const knee = kneeOf(front);
        if (front.length < 3) expect(front[knee]).toBe(first);
        else expect(Math.abs(far[knee]!)).toBeGreaterThanOrEqual(Math.max(0, ...outer(scaled, far)) - 1e-9);
      }),
    );
  });

  /** Distances of those on the side of the ideal point. */
  const outer = (scaled: readonly number[][], far: readonly number[]): number[] =>
    far.flatMap((own, i) => (scaled[i]![0]! + scaled[i]![1]! >= 1 ? [Math.abs(own)] : []));

  it('is the corner of a front that has one', () => {
    expect(
      kneeOf([
        [0.9, -10],
        [0.89, -5],
        [0.5, -4.9],
      ]),
    ).toBe(1);
    expect(
      kneeOf([
        [0.9, -10, -3],
        [0.89, -5, -1],
        [0.5, -4.9, -0.9],
      ]),
    ).toBe(1);
  });

  it('is the best in the first objective where the front is straight, of two, or of one', () => {
    expect(
      kneeOf([
        [0, 2],
        [1, 1],
        [2, 0],
      ]),
    ).toBe(2);
    expect(
      kneeOf([
        [0, 1],
        [1, 0],
      ]),
    ).toBe(1);
    expect(kneeOf([[3, 4]])).toBe(0);
    expect(() => kneeOf([])).toThrow(RangeError);
  });
});

describe('pickPoint', () => {
  const points = [
    [0.9, -10],
    [0.89, -5],
    [0.5, -4.9],
  ];

  it('takes the ends by their names', () => {
    expect(pickPoint('max-accuracy', points, [accuracy, latency])).toBe(0);
    expect(pickPoint('min-latency', points, [accuracy, latency])).toBe(2);
    expect(pickPoint('min-latency', points, [macs, { ...latency, name: 'latencyMs.pi' }])).toBe(2);
    expect(pickPoint('knee', points, [accuracy, latency])).toBe(1);
  });

  it('refuses what is not an objective', () => {
    expect(() => checkPick('min-latency', [accuracy, macs])).toThrow(
      'Cannot pick by min-latency: latencyMs must be one of the objectives: they are accuracy, macs',
    );
    expect(() => checkPick('max-accuracy', [macs, latency])).toThrow(/accuracy must be one/);
    expect(() => checkPick('knee', [macs])).not.toThrow();
  });
});
