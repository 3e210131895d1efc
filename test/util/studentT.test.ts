import { describe, expect, it } from 'vitest';
import { studentWithin } from '../../src/util/studentT.js';

describe("quantiles of Student's t", () => {
  it.each([
    [0.9, 1, 6.3138],
    [0.9, 2, 2.92],
    [0.9, 3, 2.3534],
    [0.9, 9, 1.8331],
    [0.9, 29, 1.6991],
    [0.95, 4, 2.7764],
    [0.95, 9, 2.2622],
    [0.95, 30, 2.0423],
  ])('%d within for %d degrees of freedom is the tabulated %d', (share, freedom, t) => {
    expect(studentWithin(share, freedom)).toBeCloseTo(t, 3);
  });

  it('grow with the share and shrink with the degrees of freedom, towards the normal ones', () => {
    expect(studentWithin(0.9, 5)).toBeLessThan(studentWithin(0.95, 5));
    expect(studentWithin(0.9, 6)).toBeLessThan(studentWithin(0.9, 5));
    expect(studentWithin(0.9, 4000)).toBeCloseTo(1.6449, 3);
  });

  it('are of no other arguments', () => {
    for (const [share, freedom] of [
      [0, 3],
      [1, 3],
      [0.9, 0],
      [0.9, 2.5],
      [Number.NaN, 3],
    ])
      expect(() => studentWithin(share!, freedom!)).toThrow(RangeError);
  });
});
