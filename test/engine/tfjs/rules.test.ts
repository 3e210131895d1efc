/** The table of rules, and forms of rules that the suite of all engines does not reach. */
import { beforeAll, describe, expect, it } from 'vitest';
import { loadTensorFlow } from '../../../src/engine/tfjs/load.js';
import { relayout } from '../../../src/engine/tfjs/layout.js';
import { dense } from '../../../src/engine/tfjs/rules/conv/dense.js';
import { denseInScript } from '../../../src/engine/tfjs/rules/conv/denseInScript.js';
import { depthwise } from '../../../src/engine/tfjs/rules/conv/depthwise.js';
import { depthwiseInScript } from '../../../src/engine/tfjs/rules/conv/depthwiseInScript.js';
import { rules } from '../../../src/engine/tfjs/rules/index.js';
import { rank4, type Shape4, type TensorFlow, type TfImage } from '../../../src/engine/tfjs/tensorflow.js';
import { convWeightGradientOperation } from '../../../src/graph/operations/conv.js';
import { sizeOf, type Tensor } from '../../../src/util/tensor.js';
import { allOperations } from '../../support/allOperations.js';
import { randomTensor } from '../../support/supernets.js';
import '../../support/matchers.js';

it('has a rule for every operation, and for nothing else', async () => {
  const names = (await allOperations()).map(({ name }) => name);
  expect(names.length).toBeGreaterThan(30);
  expect([...rules.keys()].sort()).toEqual(names.sort());
});

describe('weight gradients', () => {
  let tf: TensorFlow;
  beforeAll(async () => ({ tf } = await loadTensorFlow()));

  // Native packages take the kernels for them, the backend in JavaScript its convolutions.
  describe.each([
    ['dense, by their kernel', dense, [4, 3], 1],
    ['dense, by a convolution', denseInScript, [4, 3], 1],
    ['depthwise, by their kernel', depthwise, [6, 1], 3],
    ['depthwise, by a convolution', depthwiseInScript, [6, 1], 3],
  ] as const)('%s', (_name, form, [o, perGroup], groups) => {
    it.each([
      { size: [7, 9], kernel: 3, stride: 1 },
      { size: [7, 9], kernel: 3, stride: 2 },
      { size: [8, 10], kernel: 3, stride: 2 },
      { size: [9, 7], kernel: 7, stride: 2 },
      { size: [5, 6], kernel: 1, stride: 2 },
    ])('$size pixels, kernel $kernel, stride $stride', ({ size, kernel, stride }) => {
      const x = randomTensor([2, 3, ...size], 'x');
      const outputs = size.map((n) => Math.floor((n - kernel) / stride) + 1);
      const dy = randomTensor([2, o, ...outputs], 'dy');
      const weightShape: Shape4 = [o, perGroup, kernel, kernel];
      const [expected] = convWeightGradientOperation.evaluate(
        { stride, padding: 0, groups, weightShape },
        [x, dy].map(({ shape, data }) => ({ shape, data: Float64Array.from(data) })),
        [weightShape],
      );
      const image = ({ shape, data }: Tensor): TfImage =>
        rank4(relayout(tf, tf.tensor(data, [...shape]), shape, 'channelsLast'));
      const actual = tf.tidy(() =>
        form.weightGradient(tf, image(x), image(dy), stride, weightShape).dataSync(),
      );
      expect(actual).toHaveLength(sizeOf(weightShape));
      expect(actual).toBeAllclose(expected!);
    });
  });
});
