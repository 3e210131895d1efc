import { describe, expect, it } from 'vitest';
import { sgdStep } from '../../src/training/optimizer.js';
import { createRandom } from '../../src/util/random.js';
import { tensor, type Tensor } from '../../src/util/tensor.js';
import '../support/matchers.js';

const of = (...values: number[]): Tensor => tensor([values.length], Float32Array.from(values));
const OPTIONS = { learningRate: 0.1, momentum: 0.9, weightDecay: 0 };

describe('sgdStep', () => {
  it('computes two steps as by hand', () => {
    const weights = new Map([['w', of(1)]]);
    const velocity = new Map([['w', of(0)]]);
    const step = (gradient: number): void =>
      sgdStep(weights, velocity, new Map([['w', of(gradient)]]), new Set(['w']), {
        ...OPTIONS,
        weightDecay: 0.5,
      });
    // g = 2 + 0.5 * 1 = 2.5, v = 2.5, w = 1 - 0.1 * (2.5 + 0.9 * 2.5)
    step(2);
    expect([velocity.get('w')!.data[0], weights.get('w')!.data[0]]).toBeAllclose([2.5, 0.525]);
    // g = -1 + 0.5 * 0.525 = -0.7375, v = 0.9 * 2.5 - 0.7375 = 1.5125, w = 0.525 - 0.1 * (-0.7375 + 0.9 * 1.5125)
    step(-1);
    expect([velocity.get('w')!.data[0], weights.get('w')!.data[0]]).toBeAllclose([1.5125, 0.462625]);
  });

  // torch.optim.SGD, nesterov=True: b_1 = g_1, b_t = mu b_(t-1) + g_t; g_t <- g_t + mu b_t; theta <- theta - lr g_t.
  it('follows the documented formula of PyTorch over many steps of changing rate', () => {
    const random = createRandom('optimizer');
    const size = 7;
    const start = Float32Array.from({ length: size }, () => random.normal());
    const weights = new Map([['w', tensor([size], start.slice())]]);
    const velocity = new Map([['w', tensor([size])]]);
    const theta = Float64Array.from(start);
    let buffer: number[] | undefined;
    for (let t = 0; t < 12; t++) {
      const learningRate = 0.1 / (t + 1);
      const gradient = Float32Array.from({ length: size }, () => random.normal());
      const decayed = Array.from(gradient, (g, i) => g + 0.01 * theta[i]!);
      buffer = buffer === undefined ? decayed : buffer.map((b, i) => 0.9 * b + decayed[i]!);
      decayed.forEach((g, i) => (theta[i]! -= learningRate * (g + 0.9 * buffer![i]!)));
      sgdStep(weights, velocity, new Map([['w', tensor([size], gradient)]]), new Set(['w']), {
        learningRate,
        momentum: 0.9,
        weightDecay: 0.01,
      });
    }
    expect(weights.get('w')!.data).toBeAllclose(theta, { relative: 1e-6 });
    expect(velocity.get('w')!.data).toBeAllclose(buffer!, { relative: 1e-6 });
  });

  it('moves weights without a gradient by momentum and decay', () => {
    const weights = new Map([
      ['moving', of(1)],
      ['decaying', of(1)],
      ['resting', of(1)],
    ]);
    const velocity = new Map([
      ['moving', of(1)],
      ['decaying', of(0)],
      ['resting', of(0)],
    ]);
    const gradients = new Map([...weights.keys()].map((name) => [name, of(0)]));
    sgdStep(weights, velocity, gradients, new Set(['decaying']), { ...OPTIONS, weightDecay: 0.1 });
    // v = 0.9, w = 1 - 0.1 * 0.9 * 0.9; g = v = 0.1, w = 1 - 0.1 * (0.1 + 0.09)
    expect(['moving', 'decaying', 'resting'].map((name) => weights.get(name)!.data[0])).toBeAllclose([
      0.919, 0.981, 1,
    ]);
  });

  it('leaves gradients at zero, and tensors without gradients alone', () => {
    const weights = new Map([
      ['w', of(1)],
      ['runningMean', of(3)],
    ]);
    const gradients = new Map([['w', of(5)]]);
    sgdStep(weights, new Map([['w', of(0)]]), gradients, new Set(['w', 'runningMean']), OPTIONS);
    expect(gradients.get('w')!.data[0]).toBe(0);
    expect(weights.get('runningMean')!.data[0]).toBe(3);
  });
});
