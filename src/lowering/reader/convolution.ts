/** Reading rules of convolution, normalisation, pooling and dense layers. */
import { batchNormInferenceOperation } from '../../graph/operations/batchNorm.js';
import { conv2d } from '../../graph/operations/conv.js';
import { add } from '../../graph/operations/elementwise.js';
import { dense, matmul } from '../../graph/operations/matmul.js';
import { globalAverageImage } from '../../graph/operations/pool.js';
import type { ReadingCall, ReadingRule } from './call.js';

/** The one value of a list whose values must be equal. */
export function uniform(call: ReadingCall, name: string, count: number, otherwise: number): number {
  const list = call.intsAttribute(name) ?? new Array<number>(count).fill(otherwise);
  if (list.length === count && list.every((n) => n === list[0])) return list[0]!;
  throw call.fail(`${name} must be ${count} equal numbers: they are [${list.slice(0, 8).join(', ')}]`);
}

export function requireNoAutoPad(call: ReadingCall): void {
  const auto = call.string('auto_pad') ?? 'NOTSET';
  if (auto !== 'NOTSET') throw call.fail(`auto_pad must be NOTSET: it is ${auto}`);
}

const conv: ReadingRule = {
  attributes: ['kernel_shape', 'strides', 'pads', 'group', 'dilations', 'auto_pad'],
  inputs: [2, 3],
  read: (call) => {
    requireNoAutoPad(call);
    if (uniform(call, 'dilations', 2, 1) !== 1) throw call.fail('dilations must be 1');
    const weight = call.value(1);
    const kernel = uniform(call, 'kernel_shape', 2, weight.shape[2] ?? 1);
    if (weight.shape[2] !== kernel)
      throw call.fail(`kernel_shape must be that of the weight, ${weight.shape[2]}: it is ${kernel}`);
    const attributes = {
      stride: uniform(call, 'strides', 2, 1),
      padding: uniform(call, 'pads', 4, 0),
      groups: call.int('group', 1),
    };
    if (attributes.stride < 1 || attributes.groups < 1 || attributes.padding < 0)
      throw call.fail('strides and group must be positive and pads not negative');
    const bias = call.has(2) ? call.value(2) : undefined;
    return { value: conv2d(call.b, call.value(0), weight, attributes, bias) };
  },
};

const batchNormalization: ReadingRule = {
  attributes: ['epsilon', 'momentum', 'training_mode'],
  inputs: [5, 5],
  read: (call) => {
    call.require('training_mode', 0);
    const epsilon = call.float('epsilon', 1e-5);
    return {
      value: call.b.one(
        batchNormInferenceOperation,
        { epsilon },
        ...[0, 1, 2, 3, 4].map((i) => call.value(i)),
      ),
    };
  },
};

const globalAveragePool: ReadingRule = {
  attributes: [],
  inputs: [1, 1],
  read: (call) => ({ value: globalAverageImage(call.b, call.value(0)) }),
};

const gemm: ReadingRule = {
  attributes: ['alpha', 'beta', 'transA', 'transB'],
  inputs: [2, 3],
  read: (call) => {
    const { b } = call;
    call.requireFloat('alpha', 1);
    call.requireFloat('beta', 1);
    const [transposeA, transposeB] = [call.int('transA', 0) !== 0, call.int('transB', 0) !== 0];
    const [x, w] = [call.value(0), call.value(1)];
    if (x.shape.length !== 2 || w.shape.length !== 2) throw call.fail('operands must be matrices');
    const bias = call.has(2) ? call.value(2) : undefined;
    if (bias !== undefined && !transposeA && transposeB && bias.shape.length === 1 && bias.shape[0]! > 1)
      return { value: dense(b, x, w, bias) };
    const product = matmul(b, x, w, transposeA, transposeB);
    return { value: bias === undefined ? product : add(b, product, bias) };
  },
};

const matMul: ReadingRule = {
  attributes: [],
  inputs: [2, 2],
  read: (call) => ({ value: matmul(call.b, call.value(0), call.value(1)) }),
};

export const convolutionRules: Readonly<Record<string, ReadingRule>> = {
  Conv: conv,
  BatchNormalization: batchNormalization,
  GlobalAveragePool: globalAveragePool,
  Gemm: gemm,
  MatMul: matMul,
};
