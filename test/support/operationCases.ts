/** Every operation on awkward shapes. The engines' conformance and the gradient tests walk this list. */
import type { GraphBuilder, Value } from '../../src/graph/graph.js';
import { pooledSize } from '../../src/space/network.js';
import * as activation from '../../src/graph/operations/activation.js';
import { averagePool } from '../../src/graph/operations/averagePool.js';
import * as norm from '../../src/graph/operations/batchNorm.js';
import * as conv from '../../src/graph/operations/conv.js';
import * as elementwise from '../../src/graph/operations/elementwise.js';
import { fakeQuantize } from '../../src/graph/operations/fakeQuantize.js';
import { dense, matmul } from '../../src/graph/operations/matmul.js';
import { maxPool } from '../../src/graph/operations/maxPool.js';
import { globalAverageImage, globalAveragePool } from '../../src/graph/operations/pool.js';
import * as shape from '../../src/graph/operations/shape.js';
import * as softmax from '../../src/graph/operations/softmax.js';
import type { Shape } from '../../src/util/tensor.js';

export interface OperationCase {
  readonly name: string;
  readonly inputs: readonly Shape[];
  readonly build: (b: GraphBuilder, inputs: readonly Value[]) => Value;
  /** Inputs that must be positive (variances). */
  readonly positive?: readonly number[];
  /** Inputs that are data, not differentiated. */
  readonly fixed?: readonly number[];
}

const cases: OperationCase[] = [
  {
    name: 'add, broadcast',
    inputs: [
      [2, 3, 4],
      [3, 1],
    ],
    build: (b, [x, y]) => elementwise.add(b, x!, y!),
  },
  { name: 'sub, broadcast', inputs: [[5], [2, 3, 5]], build: (b, [x, y]) => elementwise.sub(b, x!, y!) },
  {
    name: 'mul, broadcast',
    inputs: [
      [2, 3, 4, 5],
      [2, 3, 1, 1],
    ],
    build: (b, [x, y]) => elementwise.mul(b, x!, y!),
  },
  { name: 'mul, square', inputs: [[3, 7]], build: (b, [x]) => elementwise.mul(b, x!, x!) },
  { name: 'affine', inputs: [[3, 7]], build: (b, [x]) => elementwise.affine(b, x!, -2.5, 0.75) },
  { name: 'affine, factor only', inputs: [[3, 7]], build: (b, [x]) => elementwise.affine(b, x!, 3) },
  {
    // Steps of a power of two: halves of steps are the same ones in every precision.
    name: 'fakeQuantize',
    inputs: [[9, 7]],
    build: (b, [x]) => fakeQuantize(b, x!, { scale: 0.25, zeroPoint: 5, low: 0, high: 10 }),
    fixed: [0],
  },
  { name: 'exp', inputs: [[3, 7]], build: (b, [x]) => elementwise.exp(b, x!) },
  {
    name: 'addBias of an image',
    inputs: [[2, 3, 4, 5], [3]],
    build: (b, [x, y]) => elementwise.addBias(b, x!, y!),
  },
  {
    name: 'dense',
    inputs: [[3, 5], [4, 5], [4]],
    build: (b, [x, w, bias]) => dense(b, x!, w!, bias!),
  },
  {
    name: 'global average, kept as an image',
    inputs: [[2, 3, 4, 5]],
    build: (b, [x]) => globalAverageImage(b, x!),
  },
  { name: 'reshape', inputs: [[2, 6]], build: (b, [x]) => shape.reshape(b, x!, [3, 4]) },
  { name: 'transpose', inputs: [[2, 3, 4, 5]], build: (b, [x]) => shape.transpose(b, x!, [2, 0, 3, 1]) },
  { name: 'slice', inputs: [[5, 6, 7]], build: (b, [x]) => shape.slice(b, x!, [1, 0, 2], [3, 6, 4]) },
  { name: 'centre crop', inputs: [[5, 1, 7, 7]], build: (b, [x]) => shape.centreCrop(b, x!, 3) },
  {
    name: 'pad',
    inputs: [[2, 3]],
    build: (b, [x]) => b.one(shape.padOperation, { before: [1, 0], shape: [4, 5] }, x!),
  },
  { name: 'reduceSum', inputs: [[2, 3, 4]], build: (b, [x]) => shape.reduceSum(b, x!, [0, 2]) },
  { name: 'expand', inputs: [[2, 1, 4]], build: (b, [x]) => shape.expand(b, x!, [2, 3, 4]) },
  { name: 'channelSum', inputs: [[2, 3, 4, 5]], build: (b, [x]) => b.one(conv.channelSumOperation, {}, x!) },
  { name: 'globalAveragePool', inputs: [[2, 3, 5, 4]], build: (b, [x]) => globalAveragePool(b, x!) },
  { name: 'softmax', inputs: [[3, 7]], build: (b, [x]) => softmax.softmax(b, x!) },
  { name: 'logSoftmax', inputs: [[3, 7]], build: (b, [x]) => softmax.logSoftmax(b, x!) },
  {
    name: 'crossEntropy',
    inputs: [
      [4, 5],
      [4, 5],
    ],
    build: (b, [x, y]) => softmax.crossEntropy(b, x!, y!),
  },
  {
    name: 'batchNorm',
    inputs: [[3, 5, 4, 3], [5], [5]],
    build: (b, [x, s, t]) => norm.batchNorm(b, x!, s!, t!, 1e-3).y,
  },
  {
    name: 'batchNorm statistics',
    inputs: [[3, 5, 4, 3], [5], [5]],
    build: (b, [x, s, t]) => {
      const { mean, variance } = norm.batchNorm(b, x!, s!, t!, 1e-3);
      return elementwise.add(b, elementwise.mul(b, mean, variance), s!);
    },
    fixed: [2],
  },
  {
    name: 'batchNormInference',
    inputs: [[3, 5, 4, 3], [5], [5], [5], [5]],
    build: (b, inputs) => b.one(norm.batchNormInferenceOperation, { epsilon: 1e-3 }, ...inputs),
    positive: [4],
    fixed: [3, 4],
  },
];

for (const fn of ['relu', 'relu6', 'h_swish', 'h_sigmoid', 'h_sigmoid_of_double'] as const) {
  cases.push({
    name: `activation ${fn}`,
    inputs: [[4, 33]],
    build: (b, [x]) => activation.activation(b, elementwise.affine(b, x!, 4), fn),
  });
}
for (const [ta, tb] of [
  [false, false],
  [true, false],
  [false, true],
  [true, true],
] as const) {
  for (const lead of [[], [3]] as const) {
    const a = ta ? [4, 5] : [5, 4];
    const c = tb ? [6, 4] : [4, 6];
    cases.push({
      name: `matmul${ta ? ' A^T' : ''}${tb ? ' B^T' : ''}${lead.length > 0 ? ', batched' : ''}`,
      inputs: [
        [...lead, ...a],
        [...lead, ...c],
      ],
      build: (b, [x, y]) => matmul(b, x!, y!, ta, tb),
    });
  }
}
const convolution = (
  name: string,
  x: Shape,
  w: Shape,
  attributes: conv.ConvAttributes,
  bias = false,
): OperationCase => ({
  name: `conv2d ${name}, stride ${attributes.stride}`,
  inputs: bias ? [x, w, [w[0]!]] : [x, w],
  build: (b, [input, weight, offset]) => conv.conv2d(b, input!, weight!, attributes, offset),
});
for (const stride of [1, 2]) {
  for (const k of [1, 3, 5, 7]) {
    const padding = k >> 1;
    cases.push(
      convolution(`dense ${k}x${k}`, [2, 3, 9, 7], [5, 3, k, k], { stride, padding, groups: 1 }),
      convolution(`depthwise ${k}x${k}`, [2, 5, 8, 9], [5, 1, k, k], { stride, padding, groups: 5 }),
      convolution(`2 groups ${k}x${k}`, [2, 6, 7, 7], [4, 3, k, k], { stride, padding, groups: 2 }),
      convolution(`depthwise with multiplier ${k}x${k}`, [2, 3, 7, 7], [6, 1, k, k], {
        stride,
        padding,
        groups: 3,
      }),
    );
  }
  cases.push(
    convolution('without padding', [2, 3, 8, 6], [4, 3, 3, 3], { stride, padding: 0, groups: 1 }, true),
    convolution('with bias', [3, 4, 6, 6], [10, 4, 3, 3], { stride, padding: 1, groups: 1 }, true),
    convolution('on images smaller than the kernel', [2, 3, 2, 3], [3, 1, 5, 5], {
      stride,
      padding: 2,
      groups: 3,
    }),
  );
}

for (const [kernel, stride, padding, ceil] of [
  [3, 2, 1, false],
  [3, 1, 1, false],
  [2, 2, 0, false],
  [2, 2, 0, true],
  [3, 2, 0, true],
  [3, 3, 1, true],
  [2, 3, 0, false],
] as const) {
  for (const image of [
    [9, 7],
    [8, 10],
    [3, 5],
  ] as const) {
    for (const [name, pool] of [
      ['maxPool', maxPool],
      ['averagePool', averagePool],
    ] as const) {
      const layer = { kernel, stride, padding, ceil };
      const windows = [pooledSize(image[0], layer), pooledSize(image[1], layer)] as const;
      cases.push({
        name: `${name} ${kernel}x${kernel} of ${image.join('x')}, stride ${stride}, padding ${padding}${ceil ? ', ceil' : ''}`,
        inputs: [[2, 3, ...image]],
        build: (b, [x]) => pool(b, x!, { kernel, stride, padding, windows }),
      });
    }
  }
}

export const operationCases: readonly OperationCase[] = cases;
