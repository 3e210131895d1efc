import { describe, expect, it } from 'vitest';
import { initAdam, updateAdam } from '../../src/accuracy/adam.js';
import '../support/matchers.js';

describe('updateAdam', () => {
  it('moves by the learning rate against the sign of the gradient at first', () => {
    const p = { w: Float32Array.of(1, -2, 0.5) };
    updateAdam(initAdam(p), p, { w: Float32Array.of(3, -0.01, 0) }, { learningRate: 0.1 });
    expect(p.w).toBeAllclose([0.9, -1.9, 0.5], { relative: 1e-6 });
  });

  it('computes two steps as by hand', () => {
    // p = 2, decay 0.5: g1 = 1 + 1 = 2, m = 0.2, v = 0.004; corrected 2 and 4: p = 2 - 0.1 * 2 / 2 = 1.9.
    // g2 = -1 + 0.95 = -0.05, m = 0.18 - 0.005 = 0.175, v = 0.003996 + 0.0000025 = 0.0039985;
    // corrected 0.175 / 0.19 = 0.921053 and 0.0039985 / 0.001999 = 2.000250: p = 1.9 - 0.1 * 0.921053 / 1.414302.
    const p = { w: Float32Array.of(2) };
    const options = { learningRate: 0.1, weightDecay: 0.5 };
    let state = updateAdam(initAdam(p), p, { w: Float32Array.of(1) }, options);
    expect(p.w[0]).toBeCloseTo(1.9, 6);
    state = updateAdam(state, p, { w: Float32Array.of(-1) }, options);
    expect(p.w[0]).toBeCloseTo(1.9 - (0.1 * 0.921053) / 1.414302, 6);
    expect(state.step).toBe(2);
    expect(state.mean['w']![0]).toBeCloseTo(0.175, 6);
    expect(state.square['w']![0]).toBeCloseTo(0.0039985, 8);
  });

  it('finds the minimum of a quadratic function', () => {
    const p = { w: Float32Array.of(5, -3) };
    let state = initAdam(p);
    for (let i = 0; i < 400; i++) {
      const gradient = Float32Array.of(2 * (p.w[0]! - 1), 20 * (p.w[1]! - 2));
      state = updateAdam(state, p, { w: gradient }, { learningRate: 0.1 });
    }
    expect(p.w).toBeAllclose([1, 2], { absolute: 1e-2 });
  });

  it('refuses a gradient of another length and writes nothing', () => {
    const p = { a: Float32Array.of(1), b: Float32Array.of(1, 2) };
    const gradients = { a: Float32Array.of(1), b: Float32Array.of(1) };
    expect(() => updateAdam(initAdam(p), p, gradients, { learningRate: 1 })).toThrow(
      'Cannot update parameter "b": a gradient of 2 values is wanted: it has 1',
    );
    expect([...p.a]).toEqual([1]);
  });
});
