/** The table of rules, and forms of rules that the suite of all engines does not reach. */
import { beforeAll, describe, expect, it } from 'vitest';
import { loadTensorFlow } from '../../../src/engine/tfjs/load.js';
import { relayout } from '../../../src/engine/tfjs/layout.js';
import { dense } from '../../../src/engine/tfjs/rules/conv/dense.js';
import { denseInScript } from '../../../src/engine/tfjs/rules/conv/denseInScript.js';
import { rules } from '../../../src/engine/tfjs/rules/index.js';
import { rank4, type TensorFlow, type TfImage } from '../../../src/engine/tfjs/tensorflow.js';
import { convWeightGradientOperation } from '../../../src/graph/operations/conv.js';
import { sizeOf, type Shape } from '../../../src/util/tensor.js';
import { allOperations } from '../../support/allOperations.js';
import { randomTensor } from '../../support/supernets.js';
import '../../support/matchers.js';

it('has a rule for every operation, and for nothing else', async () => {
  const names = (await allOperations()).map(({ name }) => name);
  expect(names.length).toBeGreaterThan(30);
  expect([...rules.keys()].sort()).toEqual(names.sort());
});

describe('weight gradients of dense convolutions', () => {
  let tf: TensorFlow;
  beforeAll(async () => ({ tf } = await loadTensorFlow()));

  // Native packages take the first, the backend in JavaScript the second.
  describe.each([
    ['by the kernel for them', dense],
    ['by a convolution', denseInScript],
  ] as const)('%s', (_name, form) => {
    it.each([
      { size: [7, 9], kernel: 3, stride: 1 },
      { size: [7, 9], kernel: 3, stride: 2 },
      { size: [8, 10], kernel: 3, stride: 2 },
      { size: [9, 7], kernel: 7, stride: 2 },
      { size: [5, 6], kernel: 1, stride: 2 },
    ])('$size pixels, kernel $kernel, stride $stride', ({ size, kernel, stride }) => {
      const x = randomTensor([2, 3, ...size], 'x');
      const outputs = size.map((n) => Math.floor((n - kernel) / stride) + 1);
      const dy = randomTensor([2, 4, ...outputs], 'dy');
      const weightShape = [4, 3, kernel, kernel] as [number, number, number, number];
      const doubles = ({ shape, data }: { shape: Shape; data: Float32Array }) => ({
        shape,
        data: Float64Array.from(data),
      });
      const [expected] = convWeightGradientOperation.evaluate(
        { stride, padding: 0, groups: 1, weightShape },
        [doubles(x), doubles(dy)],
        [weightShape],
      );
      const image = ({ shape, data }: { shape: Shape; data: Float32Array }): TfImage =>
        rank4(relayout(tf, tf.tensor(data, [...shape]), shape, 'channelsLast'));
      const actual = tf.tidy(() =>
        form.weightGradient(tf, image(x), image(dy), stride, weightShape).dataSync(),
      );
      expect(actual).toHaveLength(sizeOf(weightShape));
      expect(actual).toBeAllclose(expected!);
    });
  });
});
