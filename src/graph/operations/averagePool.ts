/**
 * Mean over windows, of the positions that lie in the image. x: [N, C, H, W], y: [N, C, H', W']. Pool and gradient are
 * linear and each other's gradients.
 */
import { sameShape, sizeOf, type Shape } from '../../util/tensor.js';
import { shapeError, type GraphBuilder, type Operation, type Value } from '../graph.js';
import { forEachCovered, onnxWindow, overhang, pooledShape, type PoolAttributes } from './window.js';

/** Positions that each window of an image of that shape covers: [H' * W']. */
function coveredCounts(attributes: PoolAttributes, [, , height, width]: Shape): number[] {
  const counts = new Array<number>(sizeOf(attributes.windows)).fill(0);
  forEachCovered(attributes, [1, 1, height!, width!], (_, iy) => {
    counts[iy]!++;
  });
  return counts;
}

export const averagePoolOperation: Operation<PoolAttributes> = {
  name: 'averagePool',
  shape: (attributes, inputs) => [pooledShape('averagePool', attributes, inputs[0]!, inputs)],
  gradient: ({ builder, attributes, inputs, outputGradients }) => [
    builder.one(
      averagePoolGradientOperation,
      { ...attributes, inputShape: inputs[0]!.shape },
      outputGradients[0]!,
    ),
  ],
  onnx: ({ emit, attributes, inputs, outputs }) => {
    const [x] = inputs;
    const window = { ...onnxWindow(attributes, x!.shape), count_include_pad: 0 };
    emit.node('AveragePool', [x!.name], window, [outputs[0]!.name]);
  },
  evaluate: (attributes, [x], outputs) => {
    const counts = coveredCounts(attributes, x!.shape);
    const y = new Float64Array(sizeOf(outputs[0]!));
    forEachCovered(attributes, x!.shape, (ix, iy) => {
      y[iy]! += x!.data[ix]! / counts[iy % counts.length]!;
    });
    return [y];
  },
};
export const averagePool = (b: GraphBuilder, x: Value, attributes: PoolAttributes): Value =>
  b.one(averagePoolOperation, attributes, x);

/** Input dy; output the gradient of x: every dy shared out equally over its window. */
export const averagePoolGradientOperation: Operation<PoolAttributes & { readonly inputShape: Shape }> = {
  name: 'averagePoolGradient',
  shape: ({ inputShape, ...attributes }, inputs) => {
    const y = pooledShape('averagePoolGradient', attributes, inputShape, inputs);
    if (!sameShape(y, inputs[0]!))
      throw shapeError('averagePoolGradient', `dy of shape [${y.join(', ')}] is wanted`, inputs);
    return [inputShape];
  },
  gradient: ({ builder, attributes: { inputShape: _shape, ...attributes }, outputGradients }) => [
    averagePool(builder, outputGradients[0]!, attributes),
  ],
  onnx: ({ emit, attributes, inputs, outputs }) => {
    const { kernel, stride, padding, windows, inputShape } = attributes;
    const [n, c, height, width] = inputShape as [number, number, number, number];
    // Each image by itself is one channel, so that one small kernel serves all.
    const images = emit.node('Reshape', [inputs[0]!.name, emit.ints([n * c, 1, ...windows])]);
    const shares = coveredCounts(attributes, inputShape).map((count) => 1 / count);
    const shared = emit.node('Mul', [images, emit.floats(shares, [1, 1, ...windows])]);
    const ends = [overhang(attributes, 0, height), overhang(attributes, 1, width)] as const;
    const ones = emit.floats(Array<number>(kernel ** 2).fill(1), [1, 1, kernel, kernel]);
    const spread = emit.node('ConvTranspose', [shared, ones], {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      pads: [padding, padding, ...ends.map((end) => Math.max(0, end))],
    });
    const left = ends.map((end) => Math.max(0, -end));
    const whole = left.every((rows) => rows === 0)
      ? spread
      : emit.node('Pad', [spread, emit.ints([0, 0, 0, 0, 0, 0, ...left])]);
    emit.node('Reshape', [whole, emit.ints(inputShape)], {}, [outputs[0]!.name]);
  },
  evaluate: (attributes, [dy]) => {
    const { inputShape } = attributes;
    const counts = coveredCounts(attributes, inputShape);
    const dx = new Float64Array(sizeOf(inputShape));
    forEachCovered(attributes, inputShape, (ix, iy) => {
      dx[ix]! += dy!.data[iy]! / counts[iy % counts.length]!;
    });
    return [dx];
  },
};
