/** Quantisation arithmetic against its definition. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { activationGrid, biasScale, onGrid, quantizeWeights } from '../../../src/export/int8/affine.js';
import { roundHalfEven } from '../../../src/util/rounding.js';

const finite = (limit: number): fc.Arbitrary<number> =>
  fc.double({ min: -limit, max: limit, noNaN: true, noDefaultInfinity: true });

describe('roundHalfEven', () => {
  it('rounds as IEEE 754', () => {
    expect([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 1.2, -1.7].map((x) => roundHalfEven(x) + 0)).toEqual([
      -2, -2, 0, 0, 2, 2, 1, -2,
    ]);
  });
});

describe('activationGrid', () => {
  it('has 0, exactly', () => {
    fc.assert(
      fc.property(finite(1e6), finite(1e6), (a, b) => {
        const grid = activationGrid({ min: Math.min(a, b), max: Math.max(a, b) });
        expect(Number.isInteger(grid.zeroPoint) && grid.zeroPoint >= 0 && grid.zeroPoint <= 255).toBe(true);
        expect(onGrid(0, grid)).toBe(0);
      }),
    );
  });

  it('gives back what is in its range within half a step, and its own numbers exactly', () => {
    const ends = fc.tuple(finite(1e4), finite(1e4)).filter(([a, b]) => Math.abs(a - b) > 1e-3);
    fc.assert(
      fc.property(ends, fc.double({ min: 0, max: 1, noNaN: true }), ([a, b], t) => {
        const [min, max] = [Math.min(a, b), Math.max(a, b)];
        const grid = activationGrid({ min, max });
        const x = min + t * (max - min);
        const there = onGrid(x, grid);
        // Where the zero point was rounded the ends lie up to half a step outside.
        expect(Math.abs(there - x)).toBeLessThanOrEqual(grid.scale * (1 + 1e-4));
        if (x > min + grid.scale && x < max - grid.scale)
          expect(Math.abs(there - x)).toBeLessThanOrEqual((grid.scale / 2) * (1 + 1e-4));
        expect(onGrid(there, grid)).toBe(there);
      }),
    );
  });

  it('holds for constants, and refuses what is no range', () => {
    expect(activationGrid({ min: 0, max: 0 })).toEqual({ scale: 1, zeroPoint: 0 });
    const three = activationGrid({ min: 3, max: 3 });
    expect(onGrid(3, three)).toBeCloseTo(3, 6);
    const minusThree = activationGrid({ min: -3, max: -3 });
    expect(onGrid(-3, minusThree)).toBeCloseTo(-3, 6);
    expect(activationGrid({ min: 1e-40, max: 2e-40 }).scale).toBe(1);
    for (const [min, max] of [
      [NaN, 1],
      [0, Infinity],
      [2, 1],
    ] as const)
      expect(() => activationGrid({ min, max })).toThrow(RangeError);
  });
});

describe('quantizeWeights', () => {
  const layers = fc.integer({ min: 1, max: 4 }).chain((channels) =>
    fc.record({
      channels: fc.constant(channels),
      weights: fc
        .array(fc.array(finite(10), { minLength: 6, maxLength: 6 }), {
          minLength: channels,
          maxLength: channels,
        })
        .map((rows) => Float32Array.from(rows.flat())),
      bias: fc
        .array(finite(5), { minLength: channels, maxLength: channels })
        .map((b) => Float32Array.from(b)),
      inputScale: fc.double({ min: 1e-4, max: 1, noNaN: true }).map(Math.fround),
      limit: fc.constantFrom(63, 127),
    }),
  );

  it('scales every channel by its own largest weight', () => {
    fc.assert(
      fc.property(layers, ({ channels, weights, inputScale, limit }) => {
        const { values, scales, bias } = quantizeWeights(weights, channels, { inputScale, limit });
        expect(bias).toBeUndefined();
        for (let c = 0; c < channels; c++) {
          const own = [...weights].filter((_, i) => Math.floor(i / 6) === c);
          const top = Math.max(...own.map(Math.abs));
          if (top > 1e-10) expect(scales[c]).toBeCloseTo(top / limit, 6);
          own.forEach((w, i) => {
            const back = values[c * 6 + i]! * scales[c]!;
            expect(Math.abs(values[c * 6 + i]!)).toBeLessThanOrEqual(limit);
            if (top > 1e-10) expect(Math.abs(back - w)).toBeLessThanOrEqual((scales[c]! / 2) * (1 + 1e-4));
          });
        }
      }),
    );
  });

  it('keeps biases within half a step of the products, whatever the weights', () => {
    fc.assert(
      fc.property(layers, ({ channels, weights, bias, inputScale, limit }) => {
        const result = quantizeWeights(weights, channels, { inputScale, limit, bias });
        bias.forEach((b, c) => {
          const step = biasScale(inputScale, result.scales[c]!);
          expect(step).toBeGreaterThan(0);
          expect(Math.abs(result.bias![c]! * step - b)).toBeLessThanOrEqual(step * 0.51 + Math.abs(b) * 1e-6);
        });
      }),
    );
  });

  it('divides by no 0 in channels without weights', () => {
    const weights = new Float32Array([0, 0, 1, -2, 1e-30, -1e-30]);
    const bias = new Float32Array([0.5, 0, -3]);
    const {
      values,
      scales,
      bias: integers,
    } = quantizeWeights(weights, 3, { inputScale: 0.01, limit: 127, bias });
    expect([...values]).toEqual([0, 0, 64, -127, 0, 0]);
    expect(scales.every((scale) => scale > 0 && Number.isFinite(scale))).toBe(true);
    bias.forEach((b, c) => expect(integers![c]! * biasScale(0.01, scales[c]!)).toBeCloseTo(b, 5));
  });
});
