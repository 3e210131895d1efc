/** Operations that move elements without arithmetic, and sums over axes. */
import { formatShape, sameShape, sizeOf, type Shape } from '../../util/tensor.js';
import { shapeError, type GraphBuilder, type Operation, type Value } from '../graph.js';

/** Row-major strides. */
export function stridesOf(shape: Shape): number[] {
  const strides = shape.map(() => 1);
  for (let i = shape.length - 2; i >= 0; i--) strides[i] = strides[i + 1]! * shape[i + 1]!;
  return strides;
}

/** Calls `visit(offset of element, its coordinates)` for every element; the coordinates' array is reused. */
function forEachIndex(shape: Shape, visit: (offset: number, index: readonly number[]) => void): void {
  const index = shape.map(() => 0);
  const total = sizeOf(shape);
  for (let offset = 0; offset < total; offset++) {
    visit(offset, index);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis]!++;
      if (index[axis]! < shape[axis]!) break;
      index[axis] = 0;
    }
  }
}

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, v, i) => sum + v * b[i]!, 0);

export const reshapeOperation: Operation<{ readonly shape: Shape }> = {
  name: 'reshape',
  shape: ({ shape }, inputs) => {
    if (sizeOf(shape) !== sizeOf(inputs[0]!))
      throw shapeError('reshape', `as many elements as ${formatShape(shape)} are wanted`, inputs);
    return [shape];
  },
  gradient: ({ builder, inputs, outputGradients }) => [
    reshape(builder, outputGradients[0]!, inputs[0]!.shape),
  ],
  onnx: ({ emit, inputs, outputs }) => {
    emit.node('Reshape', [inputs[0]!.name, emit.ints(outputs[0]!.shape)], {}, [outputs[0]!.name]);
  },
  evaluate: (_, [x]) => [x!.data],
};
export const reshape = (b: GraphBuilder, x: Value, shape: Shape): Value =>
  sameShape(x.shape, shape) ? x : b.one(reshapeOperation, { shape: [...shape] }, x);

export const transposeOperation: Operation<{ readonly permutation: readonly number[] }> = {
  name: 'transpose',
  shape: ({ permutation }, inputs) => {
    const sorted = [...permutation].sort((p, q) => p - q);
    if (permutation.length !== inputs[0]!.length || !sorted.every((axis, i) => axis === i)) {
      throw shapeError(
        'transpose',
        `a tensor whose axes [${permutation.join(', ')}] permute is wanted`,
        inputs,
      );
    }
    return [permutation.map((axis) => inputs[0]![axis]!)];
  },
  gradient: ({ builder, attributes, outputGradients }) => [
    transpose(
      builder,
      outputGradients[0]!,
      attributes.permutation.map((_, i) => attributes.permutation.indexOf(i)),
    ),
  ],
  onnx: ({ emit, attributes, inputs, outputs }) => {
    emit.node('Transpose', [inputs[0]!.name], { perm: attributes.permutation }, [outputs[0]!.name]);
  },
  evaluate: ({ permutation }, [x], outputs) => {
    const from = stridesOf(x!.shape);
    const strides = permutation.map((axis) => from[axis]!);
    const y = new Float64Array(x!.data.length);
    forEachIndex(outputs[0]!, (offset, index) => (y[offset] = x!.data[dot(index, strides)]!));
    return [y];
  },
};
export const transpose = (b: GraphBuilder, x: Value, permutation: readonly number[]): Value =>
  b.one(transposeOperation, { permutation }, x);

export interface SliceAttributes {
  readonly starts: readonly number[];
  readonly sizes: readonly number[];
}

export const sliceOperation: Operation<SliceAttributes> = {
  name: 'slice',
  shape: ({ starts, sizes }, inputs) => {
    const fits =
      inputs[0]!.length === starts.length &&
      inputs[0]!.every((n, i) => starts[i]! >= 0 && starts[i]! + sizes[i]! <= n);
    if (!fits)
      throw shapeError(
        'slice',
        `a tensor that holds ${formatShape(sizes)} from ${formatShape(starts)} on is wanted`,
        inputs,
      );
    return [sizes];
  },
  gradient: ({ builder, attributes, inputs, outputGradients }) => [
    builder.one(padOperation, { before: attributes.starts, shape: inputs[0]!.shape }, outputGradients[0]!),
  ],
  onnx: ({ emit, attributes: { starts, sizes }, inputs, outputs }) => {
    const ends = starts.map((start, i) => start + sizes[i]!);
    emit.node('Slice', [inputs[0]!.name, emit.ints(starts), emit.ints(ends)], {}, [outputs[0]!.name]);
  },
  evaluate: ({ starts }, [x], outputs) => {
    const strides = stridesOf(x!.shape);
    const base = dot(starts, strides);
    const y = new Float64Array(sizeOf(outputs[0]!));
    forEachIndex(outputs[0]!, (offset, index) => (y[offset] = x!.data[base + dot(index, strides)]!));
    return [y];
  },
};
export const slice = (
  b: GraphBuilder,
  x: Value,
  starts: readonly number[],
  sizes: readonly number[],
): Value => (sameShape(x.shape, sizes) ? x : b.one(sliceOperation, { starts, sizes }, x));

/** The centre of the last two axes, `size` by `size`. */
export function centreCrop(b: GraphBuilder, x: Value, size: number): Value {
  const lead = x.shape.slice(0, -2);
  const start = (x.shape[x.shape.length - 1]! - size) >> 1;
  return slice(b, x, [...lead.map(() => 0), start, start], [...lead, size, size]);
}

/** Zeros around: the result has `shape`, the input starts at `before`. */
export const padOperation: Operation<{ readonly before: readonly number[]; readonly shape: Shape }> = {
  name: 'pad',
  shape: ({ before, shape }, inputs) => {
    const fits =
      inputs[0]!.length === shape.length &&
      inputs[0]!.every((n, i) => before[i]! >= 0 && before[i]! + n <= shape[i]!);
    if (!fits)
      throw shapeError(
        'pad',
        `a tensor that fits into ${formatShape(shape)} at ${formatShape(before)} is wanted`,
        inputs,
      );
    return [shape];
  },
  gradient: ({ builder, attributes, inputs, outputGradients }) => [
    slice(builder, outputGradients[0]!, attributes.before, inputs[0]!.shape),
  ],
  onnx: ({ emit, attributes: { before, shape }, inputs, outputs }) => {
    const after = shape.map((n, i) => n - before[i]! - inputs[0]!.shape[i]!);
    emit.node('Pad', [inputs[0]!.name, emit.ints([...before, ...after])], {}, [outputs[0]!.name]);
  },
  evaluate: ({ before }, [x], outputs) => {
    const strides = stridesOf(outputs[0]!);
    const base = dot(before, strides);
    const y = new Float64Array(sizeOf(outputs[0]!));
    forEachIndex(x!.shape, (offset, index) => (y[base + dot(index, strides)] = x!.data[offset]!));
    return [y];
  },
};

/** Sum over axes; they stay with length 1. */
export const reduceSumOperation: Operation<{ readonly axes: readonly number[] }> = {
  name: 'reduceSum',
  shape: ({ axes }, inputs) => {
    if (!axes.every((axis) => axis >= 0 && axis < inputs[0]!.length))
      throw shapeError('reduceSum', `axes [${axes.join(', ')}] are wanted`, inputs);
    return [inputs[0]!.map((n, i) => (axes.includes(i) ? 1 : n))];
  },
  gradient: ({ builder, inputs, outputGradients }) => [
    expand(builder, outputGradients[0]!, inputs[0]!.shape),
  ],
  onnx: ({ emit, attributes, inputs, outputs }) => {
    emit.node('ReduceSum', [inputs[0]!.name, emit.ints(attributes.axes)], { keepdims: 1 }, [
      outputs[0]!.name,
    ]);
  },
  evaluate: ({ axes }, [x], outputs) => {
    const strides = stridesOf(outputs[0]!).map((stride, i) => (axes.includes(i) ? 0 : stride));
    const y = new Float64Array(sizeOf(outputs[0]!));
    forEachIndex(x!.shape, (offset, index) => {
      y[dot(index, strides)]! += x!.data[offset]!;
    });
    return [y];
  },
};
export const reduceSum = (b: GraphBuilder, x: Value, axes: readonly number[]): Value =>
  b.one(reduceSumOperation, { axes }, x);

/** Repeats axes of length 1. */
export const expandOperation: Operation<{ readonly shape: Shape }> = {
  name: 'expand',
  shape: ({ shape }, inputs) => {
    const fits = inputs[0]!.length === shape.length && inputs[0]!.every((n, i) => n === 1 || n === shape[i]);
    if (!fits)
      throw shapeError('expand', `a tensor that broadcasts to ${formatShape(shape)} is wanted`, inputs);
    return [shape];
  },
  gradient: ({ builder, inputs, outputGradients }) => [sumTo(builder, outputGradients[0]!, inputs[0]!.shape)],
  onnx: ({ emit, inputs, outputs }) => {
    emit.node('Expand', [inputs[0]!.name, emit.ints(outputs[0]!.shape)], {}, [outputs[0]!.name]);
  },
  evaluate: (_, [x], outputs) => {
    const strides = stridesOf(x!.shape).map((stride, i) => (x!.shape[i] === 1 ? 0 : stride));
    const y = new Float64Array(sizeOf(outputs[0]!));
    forEachIndex(outputs[0]!, (offset, index) => (y[offset] = x!.data[dot(index, strides)]!));
    return [y];
  },
};
export const expand = (b: GraphBuilder, x: Value, shape: Shape): Value =>
  sameShape(x.shape, shape) ? x : b.one(expandOperation, { shape: [...shape] }, x);

/** Undoes a broadcast: sums the axes along which `shape` was repeated. */
export function sumTo(b: GraphBuilder, x: Value, shape: Shape): Value {
  if (sameShape(x.shape, shape)) return x;
  const lead = x.shape.length - shape.length;
  const axes = x.shape
    .map((_, i) => i)
    .filter((i) => i < lead || (shape[i - lead] === 1 && x.shape[i] !== 1));
  return reshape(b, axes.length === 0 ? x : reduceSum(b, x, axes), shape);
}
