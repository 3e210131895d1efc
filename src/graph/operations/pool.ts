/** Pooling. */
import { sizeOf } from '../../util/tensor.js';
import { shapeError, type GraphBuilder, type Operation, type Value } from '../graph.js';
import { affine } from './elementwise.js';
import { expand, reshape } from './shape.js';

/** Mean over height and width: [N, C, H, W] -> [N, C]. */
export const globalAveragePoolOperation: Operation<Readonly<Record<string, never>>> = {
  name: 'globalAveragePool',
  shape: (_, inputs) => {
    if (inputs[0]!.length !== 4)
      throw shapeError('globalAveragePool', 'a tensor [N, C, H, W] is wanted', inputs);
    return [inputs[0]!.slice(0, 2)];
  },
  gradient: ({ builder, inputs, outputGradients }) => {
    const [n, c, h, w] = inputs[0]!.shape as [number, number, number, number];
    const each = affine(builder, outputGradients[0]!, 1 / (h * w));
    return [expand(builder, reshape(builder, each, [n, c, 1, 1]), [n, c, h, w])];
  },
  onnx: ({ emit, inputs, outputs }) => {
    emit.node('Flatten', [emit.node('GlobalAveragePool', [inputs[0]!.name])], { axis: 1 }, [
      outputs[0]!.name,
    ]);
  },
  evaluate: (_, [x], outputs) => {
    const area = x!.shape[2]! * x!.shape[3]!;
    const y = new Float64Array(sizeOf(outputs[0]!));
    x!.data.forEach((v, i) => (y[Math.floor(i / area)]! += v / area));
    return [y];
  },
};
export const globalAveragePool = (b: GraphBuilder, x: Value): Value =>
  b.one(globalAveragePoolOperation, {}, x);

/** The same, kept as an image: [N, C, H, W] -> [N, C, 1, 1]. */
export const globalAverageImageOperation: Operation<Readonly<Record<string, never>>> = {
  name: 'globalAverageImage',
  shape: (_, inputs) => {
    if (inputs[0]!.length !== 4)
      throw shapeError('globalAverageImage', 'a tensor [N, C, H, W] is wanted', inputs);
    return [[...inputs[0]!.slice(0, 2), 1, 1]];
  },
  gradient: ({ builder, inputs, outputGradients }) => {
    const [, , h, w] = inputs[0]!.shape as [number, number, number, number];
    return [expand(builder, affine(builder, outputGradients[0]!, 1 / (h * w)), inputs[0]!.shape)];
  },
  onnx: ({ emit, inputs, outputs }) => {
    emit.node('GlobalAveragePool', [inputs[0]!.name], {}, [outputs[0]!.name]);
  },
  evaluate: (attributes, inputs, outputs) => globalAveragePoolOperation.evaluate(attributes, inputs, outputs),
};
export const globalAverageImage = (b: GraphBuilder, x: Value): Value =>
  b.one(globalAverageImageOperation, {}, x);

/** Shape [N, C] as [N, C, 1, 1], for products with images. */
export const asImage = (b: GraphBuilder, x: Value): Value => reshape(b, x, [...x.shape, 1, 1]);
