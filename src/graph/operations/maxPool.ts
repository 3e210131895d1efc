/**
 * Maximum over windows. x: [N, C, H, W], y: [N, C, H', W']. With a(w) the position of the maximum in window w (the first
 * of equal ones, row by row, as PyTorch's): y[w] = x[a(w)]; the gradient adds dy[w] at a(w); the gradient of that with
 * respect to dy reads at a(w). a itself is constant almost everywhere, so x gets no gradient from the latter two.
 */
import { sameShape, sizeOf } from '../../util/tensor.js';
import {
  shapeError,
  type GraphBuilder,
  type OnnxCall,
  type Operation,
  type Tensor64,
  type Value,
} from '../graph.js';
import { forEachCovered, onnxWindow, pooledShape, type PoolAttributes } from './window.js';

/** a(w): offsets into x. */
function maxima(attributes: PoolAttributes, { shape, data }: Tensor64): Int32Array {
  const places = new Int32Array(sizeOf([...shape.slice(0, 2), ...attributes.windows])).fill(-1);
  forEachCovered(attributes, shape, (ix, iy) => {
    const best = places[iy]!;
    if (best < 0 || data[ix]! > data[best]!) places[iy] = ix;
  });
  return places;
}

/** a(w) in ONNX: name of an int64 tensor [N * C * H' * W'], offsets into x as one list. */
function onnxMaxima({ emit, attributes, inputs, outputs }: OnnxCall<PoolAttributes>): string {
  const [x] = inputs;
  const places = `${outputs[0]!.name}/places`;
  emit.node('MaxPool', [x!.name], onnxWindow(attributes, x!.shape), [`${outputs[0]!.name}/maxima`, places]);
  return emit.node('Reshape', [places, emit.ints([-1])]);
}

export const maxPoolOperation: Operation<PoolAttributes> = {
  name: 'maxPool',
  shape: (attributes, inputs) => [pooledShape('maxPool', attributes, inputs[0]!, inputs)],
  gradient: ({ builder, attributes, inputs, outputGradients }) => [
    builder.one(maxPoolGradientOperation, attributes, inputs[0]!, outputGradients[0]!),
  ],
  onnx: ({ emit, attributes, inputs, outputs }) => {
    const [x] = inputs;
    emit.node('MaxPool', [x!.name], onnxWindow(attributes, x!.shape), [outputs[0]!.name]);
  },
  evaluate: (attributes, [x]) => [Float64Array.from(maxima(attributes, x!), (place) => x!.data[place]!)],
};
export const maxPool = (b: GraphBuilder, x: Value, attributes: PoolAttributes): Value =>
  b.one(maxPoolOperation, attributes, x);

/** Inputs x, dy; output the gradient of x. */
export const maxPoolGradientOperation: Operation<PoolAttributes> = {
  name: 'maxPoolGradient',
  shape: (attributes, inputs) => {
    const y = pooledShape('maxPoolGradient', attributes, inputs[0]!, inputs);
    if (!sameShape(y, inputs[1] ?? []))
      throw shapeError('maxPoolGradient', `dy of shape [${y.join(', ')}] is wanted`, inputs);
    return [inputs[0]!];
  },
  gradient: ({ builder, attributes, inputs, outputGradients }) => [
    undefined,
    builder.one(maximaOfOperation, attributes, inputs[0]!, outputGradients[0]!),
  ],
  onnx: (call) => {
    const { emit, inputs, outputs } = call;
    const [x, dy] = inputs;
    const places = onnxMaxima(call);
    const zeros = emit.node('Expand', [emit.floats([0], [1]), emit.ints([sizeOf(x!.shape)])]);
    const updates = emit.node('Reshape', [dy!.name, emit.ints([-1])]);
    const sums = emit.node('ScatterElements', [zeros, places, updates], { axis: 0, reduction: 'add' });
    emit.node('Reshape', [sums, emit.ints(x!.shape)], {}, [outputs[0]!.name]);
  },
  evaluate: (attributes, [x, dy]) => {
    const dx = new Float64Array(x!.data.length);
    maxima(attributes, x!).forEach((place, i) => (dx[place]! += dy!.data[i]!));
    return [dx];
  },
};

/** Inputs x, g of one shape; output what g holds where x has its windows' maxima. */
export const maximaOfOperation: Operation<PoolAttributes> = {
  name: 'maximaOf',
  shape: (attributes, inputs) => {
    if (!sameShape(inputs[0]!, inputs[1] ?? []))
      throw shapeError('maximaOf', 'equal shapes are wanted', inputs);
    return [pooledShape('maximaOf', attributes, inputs[0]!, inputs)];
  },
  gradient: ({ builder, attributes, inputs, outputGradients }) => [
    undefined,
    builder.one(maxPoolGradientOperation, attributes, inputs[0]!, outputGradients[0]!),
  ],
  onnx: (call) => {
    const { emit, inputs, outputs } = call;
    const list = emit.node('Reshape', [inputs[1]!.name, emit.ints([-1])]);
    const taken = emit.node('Gather', [list, onnxMaxima(call)], { axis: 0 });
    emit.node('Reshape', [taken, emit.ints(outputs[0]!.shape)], {}, [outputs[0]!.name]);
  },
  evaluate: (attributes, [x, g]) => [Float64Array.from(maxima(attributes, x!), (place) => g!.data[place]!)],
};
