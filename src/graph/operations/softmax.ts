/** Softmax and its logarithm over the last axis, and the cross entropies made of them. */
import { sizeOf } from '../../util/tensor.js';
import { shapeError, type GraphBuilder, type Operation, type Tensor64, type Value } from '../graph.js';
import { affine, exp, mul, sub } from './elementwise.js';
import { reduceSum, reshape } from './shape.js';

type None = Readonly<Record<string, never>>;

function logSoftmaxOf(x: Tensor64): Float64Array {
  const width = x.shape[x.shape.length - 1]!;
  const y = new Float64Array(x.data.length);
  for (let row = 0; row < x.data.length; row += width) {
    const values = x.data.subarray(row, row + width);
    const top = values.reduce((m, v) => Math.max(m, v), -Infinity);
    const total = Math.log(values.reduce((sum, v) => sum + Math.exp(v - top), 0)) + top;
    for (let i = 0; i < width; i++) y[row + i] = values[i]! - total;
  }
  return y;
}

const lastAxis = (x: Value): number[] => [x.shape.length - 1];

export const logSoftmaxOperation: Operation<None> = {
  name: 'logSoftmax',
  shape: (_, inputs) => [inputs[0]!],
  // d log p = dz - p * sum dz
  gradient: ({ builder, outputs, outputGradients }) => {
    const dz = outputGradients[0]!;
    return [sub(builder, dz, mul(builder, exp(builder, outputs[0]!), reduceSum(builder, dz, lastAxis(dz))))];
  },
  onnx: ({ emit, inputs, outputs }) => {
    emit.node('LogSoftmax', [inputs[0]!.name], { axis: -1 }, [outputs[0]!.name]);
  },
  evaluate: (_, [x]) => [logSoftmaxOf(x!)],
};
export const logSoftmax = (b: GraphBuilder, x: Value): Value => b.one(logSoftmaxOperation, {}, x);

export const softmaxOperation: Operation<None> = {
  name: 'softmax',
  shape: (_, inputs) => [inputs[0]!],
  // dx = p * (dp - sum p * dp)
  gradient: ({ builder, outputs, outputGradients }) => {
    const [p, dp] = [outputs[0]!, outputGradients[0]!];
    return [mul(builder, p, sub(builder, dp, reduceSum(builder, mul(builder, p, dp), lastAxis(p))))];
  },
  onnx: ({ emit, inputs, outputs }) => {
    emit.node('Softmax', [inputs[0]!.name], { axis: -1 }, [outputs[0]!.name]);
  },
  evaluate: (_, [x]) => [logSoftmaxOf(x!).map(Math.exp)],
};
export const softmax = (b: GraphBuilder, x: Value): Value => b.one(softmaxOperation, {}, x);

/**
 * Mean over the batch of -sum targets * log softmax(logits): [N, K], [N, K] -> scalar [1]. Targets need not sum to 1: a
 * label's distribution plus a teacher's, weighted, is the sum of both losses.
 */
export function crossEntropy(b: GraphBuilder, logits: Value, targets: Value): Value {
  if (sizeOf(logits.shape) !== sizeOf(targets.shape) || logits.shape.length !== 2) {
    throw shapeError('crossEntropy', 'logits and targets [N, K] are wanted', [logits.shape, targets.shape]);
  }
  const total = reduceSum(b, mul(b, targets, logSoftmax(b, logits)), [0, 1]);
  return reshape(b, affine(b, total, -1 / logits.shape[0]!), [1]);
}
