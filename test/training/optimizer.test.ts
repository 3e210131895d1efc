import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import wabt from 'wabt';
import { sumInto } from '../../src/supernet/slicing.js';
import { SGD_MODULE } from '../../src/training/kernels/sgdModule.js';
import { Sgd } from '../../src/training/optimizer.js';
import { createRandom } from '../../src/util/random.js';
import { sizeOf, tensor, type Shape, type Tensor } from '../../src/util/tensor.js';
import '../support/matchers.js';

const of = (...values: number[]): Tensor => tensor([values.length], Float32Array.from(values));
const OPTIONS = { learningRate: 0.1, momentum: 0.9, weightDecay: 0 };
const f32 = Math.fround;

describe('Sgd', () => {
  it('computes two steps as by hand', () => {
    const sgd = new Sgd(new Map([['w', of(1)]]), new Map([['w', of(0)]]), new Set(['w']));
    const step = (gradient: number): number[] => {
      sgd.add('w', of(gradient));
      sgd.step({ ...OPTIONS, weightDecay: 0.5 });
      return [sgd.velocity.get('w')!.data[0]!, sgd.weights.get('w')!.data[0]!];
    };
    // g = 2 + 0.5 * 1 = 2.5, v = 2.5, w = 1 - 0.1 * (2.5 + 0.9 * 2.5)
    expect(step(2)).toBeAllclose([2.5, 0.525]);
    // g = -1 + 0.5 * 0.525 = -0.7375, v = 0.9 * 2.5 - 0.7375 = 1.5125, w = 0.525 - 0.1 * (-0.7375 + 0.9 * 1.5125)
    expect(step(-1)).toBeAllclose([1.5125, 0.462625]);
  });

  // torch.optim.SGD, nesterov=True: b_1 = g_1, b_t = mu b_(t-1) + g_t; g_t <- g_t + mu b_t; theta <- theta - lr g_t.
  it('follows the documented formula of PyTorch over many steps of changing rate', () => {
    const random = createRandom('optimizer');
    const size = 7;
    const start = Float32Array.from({ length: size }, () => random.normal());
    const sgd = new Sgd(
      new Map([['w', tensor([size], start)]]),
      new Map([['w', tensor([size])]]),
      new Set('w'),
    );
    const theta = Float64Array.from(start);
    let buffer: number[] | undefined;
    for (let t = 0; t < 12; t++) {
      const learningRate = 0.1 / (t + 1);
      const gradient = Float32Array.from({ length: size }, () => random.normal());
      const decayed = Array.from(gradient, (g, i) => g + 0.01 * theta[i]!);
      buffer = buffer === undefined ? decayed : buffer.map((b, i) => 0.9 * b + decayed[i]!);
      decayed.forEach((g, i) => (theta[i]! -= learningRate * (g + 0.9 * buffer![i]!)));
      sgd.add('w', tensor([size], gradient));
      sgd.step({ learningRate, momentum: 0.9, weightDecay: 0.01 });
    }
    expect(sgd.weights.get('w')!.data).toBeAllclose(theta, { relative: 1e-5, absolute: 1e-6 });
    expect(sgd.velocity.get('w')!.data).toBeAllclose(buffer!, { relative: 1e-5, absolute: 1e-6 });
  });

  it('moves weights without a gradient by momentum and decay', () => {
    const weights = new Map(['moving', 'decaying', 'resting'].map((name) => [name, of(1)]));
    const velocity = new Map([
      ['moving', of(1)],
      ['decaying', of(0)],
      ['resting', of(0)],
    ]);
    const sgd = new Sgd(weights, velocity, new Set(['decaying']));
    sgd.step({ ...OPTIONS, weightDecay: 0.1 });
    // v = 0.9, w = 1 - 0.1 * 0.9 * 0.9; g = v = 0.1, w = 1 - 0.1 * (0.1 + 0.09)
    expect([...sgd.weights.values()].map(({ data }) => data[0])).toBeAllclose([0.919, 0.981, 1]);
    // What it was given is a copy's origin.
    expect([...weights.values()].map(({ data }) => data[0])).toEqual([1, 1, 1]);
  });

  it('leaves tensors without momentum alone, and refuses gradients for them', () => {
    const weights = new Map([
      ['w', of(1)],
      ['runningMean', of(3)],
    ]);
    const sgd = new Sgd(weights, new Map([['w', of(0)]]), new Set(['w', 'runningMean']));
    sgd.step(OPTIONS);
    expect(sgd.weights.get('runningMean')!.data[0]).toBe(3);
    expect(() => sgd.add('runningMean', of(1))).toThrow('"runningMean"');
    expect(() => new Sgd(weights, new Map([['other', of(0)]]), new Set())).toThrow('"other"');
  });

  /** Full shapes with leading parts, longer than what is staged at a time now and then. */
  const shapes = fc.oneof(
    fc.array(
      fc
        .integer({ min: 1, max: 12 })
        .chain((n) => fc.tuple(fc.constant(n), fc.array(fc.integer({ min: 1, max: n }), { maxLength: 3 }))),
      { minLength: 1, maxLength: 4 },
    ),
    fc.constant([
      [200, [200, 150]],
      [100, [100, 90]],
    ] as [number, number[]][]),
    fc.constant([[20_001, [20_001, 16_385]]] as [number, number[]][]),
  );

  it('is, to the bit, the formula in float32 on gradients that were added up, wherever they belong', () => {
    fc.assert(
      fc.property(shapes, fc.integer({ min: 0, max: 3 }), fc.boolean(), (dims, count, decays) => {
        const random = createRandom('property', count);
        const noise = (shape: Shape): Tensor =>
          tensor(
            shape,
            Float32Array.from({ length: sizeOf(shape) }, () => random.normal()),
          );
        const full = dims.map(([n]) => n);
        const [weight, velocity] = [noise(full), noise(full)];
        // A neighbour, which nothing must leak into.
        const sgd = new Sgd(
          new Map([
            ['w', weight],
            ['next', of(1, 2, 3)],
          ]),
          new Map([
            ['w', velocity],
            ['next', of(0, 0, 0)],
          ]),
          new Set(decays ? ['w'] : []),
        );
        const sum = new Map([['w', tensor(full)]]);
        for (let i = 0; i < count; i++) {
          const part = noise(dims.map(([n, cuts]) => cuts[i] ?? n));
          sgd.add('w', part);
          sumInto(sum).add('w', part);
        }
        sgd.step({ learningRate: 0.1, momentum: 0.9, weightDecay: 0.01 });
        const [rate, momentum, decay] = [f32(0.1), f32(0.9), f32(decays ? 0.01 : 0)];
        const [w, v] = [weight.data, velocity.data];
        const expected = w.map((_, i) => {
          const g = f32(sum.get('w')!.data[i]! + f32(decay * w[i]!));
          v[i] = f32(f32(momentum * v[i]!) + g);
          return w[i]! - f32(rate * f32(g + f32(momentum * v[i])));
        });
        expect(sgd.weights.get('w')!.data).toEqual(expected);
        expect(sgd.velocity.get('w')!.data).toEqual(v);
        expect([...sgd.weights.get('next')!.data]).toEqual([1, 2, 3]);
        // Nothing is left for the next step.
        sgd.step({ learningRate: 1, momentum: 0, weightDecay: 0 });
        expect(sgd.weights.get('w')!.data).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });
});

it('sgdModule.ts holds what sgd.wat says', async () => {
  const path = new URL('../../src/training/kernels/sgd.wat', import.meta.url);
  const module = (await wabt()).parseWat('sgd.wat', readFileSync(path, 'utf8'), { simd: true });
  expect(Buffer.from(module.toBinary({}).buffer).toString('base64')).toBe(SGD_MODULE);
  module.destroy();
});
