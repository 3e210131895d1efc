/**
 * Two-dimensional convolution with groups, and its two gradients. All three are linear in each operand and each other's
 * gradients, so they differentiate to any order. x: [N, C, H, W], w: [O, C / groups, k, k], y: [N, O, H', W'].
 */
import { sizeOf, type Shape } from '../../util/tensor.js';
import { shapeError, type GraphBuilder, type OnnxCall, type Operation, type Value } from '../graph.js';

export interface ConvAttributes {
  readonly stride: number;
  /** On every side. */
  readonly padding: number;
  readonly groups: number;
}

function outputShape(
  { stride, padding, groups }: ConvAttributes,
  x: Shape,
  w: Shape,
  inputs: readonly Shape[],
): Shape {
  if (x.length !== 4 || w.length !== 4 || x[1] !== w[1]! * groups || w[0]! % groups !== 0 || w[2] !== w[3]) {
    throw shapeError('conv2d', `x [N, C, H, W] and w [O, C / ${groups}, k, k] are wanted`, inputs);
  }
  const size = (n: number): number => Math.floor((n + 2 * padding - w[2]!) / stride) + 1;
  if (size(x[2]!) < 1 || size(x[3]!) < 1)
    throw shapeError('conv2d', 'an input no smaller than the kernel is wanted', inputs);
  return [x[0]!, w[0]!, size(x[2]!), size(x[3]!)];
}

/** Calls `visit` for every product x[ix] * w[iw] that contributes to y[iy]. */
function forEachProduct(
  { stride, padding, groups }: ConvAttributes,
  x: Shape,
  w: Shape,
  visit: (ix: number, iw: number, iy: number) => void,
): void {
  const [n, c, height, width] = x as [number, number, number, number];
  const [o, ci, k] = w as [number, number, number, number];
  const [, , yh, yw] = outputShape({ stride, padding, groups }, x, w, [x, w]) as [
    number,
    number,
    number,
    number,
  ];
  const perGroup = o / groups;
  for (let b = 0; b < n; b++)
    for (let oc = 0; oc < o; oc++)
      for (let i = 0; i < ci; i++) {
        const ic = Math.floor(oc / perGroup) * ci + i;
        for (let ky = 0; ky < k; ky++)
          for (let kx = 0; kx < k; kx++)
            for (let oy = 0; oy < yh; oy++) {
              const iy = oy * stride + ky - padding;
              if (iy < 0 || iy >= height) continue;
              for (let ox = 0; ox < yw; ox++) {
                const ix = ox * stride + kx - padding;
                if (ix < 0 || ix >= width) continue;
                visit(
                  ((b * c + ic) * height + iy) * width + ix,
                  ((oc * ci + i) * k + ky) * k + kx,
                  ((b * o + oc) * yh + oy) * yw + ox,
                );
              }
            }
      }
}

const onnxConv = (
  { stride, padding, groups }: ConvAttributes,
  kernel: number,
): Record<string, number | number[]> => ({
  kernel_shape: [kernel, kernel],
  strides: [stride, stride],
  pads: [padding, padding, padding, padding],
  group: groups,
});

/** Inputs x, w and optionally a bias [O]. */
export const convOperation: Operation<ConvAttributes> = {
  name: 'conv2d',
  shape: (attributes, inputs) => {
    const shape = outputShape(attributes, inputs[0] ?? [], inputs[1] ?? [], inputs);
    if (inputs[2] !== undefined && (inputs[2].length !== 1 || inputs[2][0] !== shape[1])) {
      throw shapeError('conv2d', `a bias [${shape[1]!}] is wanted`, inputs);
    }
    return [shape];
  },
  gradient: ({ builder, attributes, inputs, outputGradients, needed }) => {
    const [x, w, bias] = inputs as readonly [Value, Value, Value | undefined];
    const dy = outputGradients[0]!;
    return [
      needed[0]! ? convInputGradient(builder, dy, w, attributes, x.shape) : undefined,
      needed[1]! ? convWeightGradient(builder, x, dy, attributes, w.shape) : undefined,
      ...(bias !== undefined && needed[2]! ? [biasGradient(builder, dy)] : []),
    ];
  },
  onnx: ({ emit, attributes, inputs, outputs }) => {
    const names = inputs.map(({ name }) => name);
    emit.node('Conv', names, onnxConv(attributes, inputs[1]!.shape[2]!), [outputs[0]!.name]);
  },
  evaluate: (attributes, [x, w, bias], outputs) => {
    const y = new Float64Array(sizeOf(outputs[0]!));
    forEachProduct(attributes, x!.shape, w!.shape, (ix, iw, iy) => {
      y[iy]! += x!.data[ix]! * w!.data[iw]!;
    });
    if (bias === undefined) return [y];
    const [, channels, height, width] = outputs[0]! as [number, number, number, number];
    return [y.map((v, i) => v + bias.data[Math.floor(i / (height * width)) % channels]!)];
  },
};

export function conv2d(b: GraphBuilder, x: Value, w: Value, attributes: ConvAttributes, bias?: Value): Value {
  return b.one(convOperation, attributes, ...(bias === undefined ? [x, w] : [x, w, bias]));
}

type InputGradientAttributes = ConvAttributes & { readonly inputShape: Shape };

/** Inputs dy, w; output the gradient of x: every dy spread back over the window it was computed from. */
export const convInputGradientOperation: Operation<InputGradientAttributes> = {
  name: 'conv2dInputGradient',
  shape: (attributes, inputs) => {
    const y = outputShape(attributes, attributes.inputShape, inputs[1] ?? [], inputs);
    if (!y.every((n, i) => n === inputs[0]![i]))
      throw shapeError('conv2dInputGradient', `dy of shape [${y.join(', ')}] is wanted`, inputs);
    return [attributes.inputShape];
  },
  gradient: ({ builder, attributes, inputs, outputGradients, needed }) => {
    const { inputShape: _shape, ...conv } = attributes;
    const [dy, w] = inputs as readonly [Value, Value];
    const g = outputGradients[0]!;
    return [
      needed[0]! ? conv2d(builder, g, w, conv) : undefined,
      needed[1]! ? convWeightGradient(builder, g, dy, conv, w.shape) : undefined,
    ];
  },
  onnx: (call) => {
    const { emit, attributes, inputs, outputs } = call;
    const [dy, w] = inputs as readonly [OnnxTensor, OnnxTensor];
    const { stride, padding, groups, inputShape } = attributes;
    const kernel = w.shape[2]!;
    const output = [outputs[0]!.name];
    const depthwise = w.shape[0] === groups && w.shape[1] === 1;
    if (stride === 1 && 2 * padding === kernel - 1 && (groups === 1 || depthwise)) {
      // Stride 1 with same padding: a convolution with the kernel turned by 180 degrees, in and out swapped.
      const turned = kernel === 1 ? w.name : turn(call, w.name);
      const weight = groups === 1 ? emit.node('Transpose', [turned], { perm: [1, 0, 2, 3] }) : turned;
      emit.node('Conv', [dy.name, weight], onnxConv(attributes, kernel), output);
      return;
    }
    const missing = [2, 3].map(
      (axis) => inputShape[axis]! - ((dy.shape[axis]! - 1) * stride - 2 * padding + kernel),
    );
    emit.node(
      'ConvTranspose',
      [dy.name, w.name],
      { ...onnxConv(attributes, kernel), output_padding: missing },
      output,
    );
  },
  evaluate: (attributes, [dy, w], outputs) => {
    const dx = new Float64Array(sizeOf(outputs[0]!));
    forEachProduct(attributes, attributes.inputShape, w!.shape, (ix, iw, iy) => {
      dx[ix]! += dy!.data[iy]! * w!.data[iw]!;
    });
    return [dx];
  },
};
type OnnxTensor = OnnxCall<unknown>['inputs'][number];

/** Reverses the last two axes. */
function turn({ emit }: Pick<OnnxCall<unknown>, 'emit'>, name: string): string {
  const int64Min = Number.MIN_SAFE_INTEGER;
  return emit.node('Slice', [
    name,
    emit.ints([-1, -1]),
    emit.ints([int64Min, int64Min]),
    emit.ints([2, 3]),
    emit.ints([-1, -1]),
  ]);
}

export function convInputGradient(
  b: GraphBuilder,
  dy: Value,
  w: Value,
  attributes: ConvAttributes,
  inputShape: Shape,
): Value {
  return b.one(convInputGradientOperation, { ...attributes, inputShape }, dy, w);
}

type WeightGradientAttributes = ConvAttributes & { readonly weightShape: Shape };

/** Inputs x, dy; output the gradient of w: each tap's correlation of x with dy, summed over the batch. */
export const convWeightGradientOperation: Operation<WeightGradientAttributes> = {
  name: 'conv2dWeightGradient',
  shape: (attributes, inputs) => {
    const y = outputShape(attributes, inputs[0] ?? [], attributes.weightShape, inputs);
    if (!y.every((n, i) => n === inputs[1]![i]))
      throw shapeError('conv2dWeightGradient', `dy of shape [${y.join(', ')}] is wanted`, inputs);
    return [attributes.weightShape];
  },
  gradient: ({ builder, attributes, inputs, outputGradients, needed }) => {
    const { weightShape: _shape, ...conv } = attributes;
    const [x, dy] = inputs as readonly [Value, Value];
    const g = outputGradients[0]!;
    return [
      needed[0]! ? convInputGradient(builder, dy, g, conv, x.shape) : undefined,
      needed[1]! ? conv2d(builder, x, g, conv) : undefined,
    ];
  },
  onnx: ({ emit, attributes, inputs, outputs }) => {
    const [x, dy] = inputs as readonly [OnnxTensor, OnnxTensor];
    const { stride, padding, groups, weightShape } = attributes;
    const [n, c, height, width] = x.shape as [number, number, number, number];
    const [, o, yh, yw] = dy.shape as [number, number, number, number];
    const [, ci, kernel] = weightShape as [number, number, number, number];
    if (kernel === 1 && stride === 1 && groups === 1) {
      const rows = emit.node('Reshape', [dy.name, emit.ints([n, o, yh * yw])]);
      const columns = emit.node(
        'Transpose',
        [emit.node('Reshape', [x.name, emit.ints([n, c, height * width])])],
        { perm: [0, 2, 1] },
      );
      const sum = emit.node('ReduceSum', [emit.node('MatMul', [rows, columns]), emit.ints([0])], {
        keepdims: 0,
      });
      emit.node('Reshape', [sum, emit.ints(weightShape)], {}, [outputs[0]!.name]);
      return;
    }
    // A convolution whose batch is the channels within a group, whose input channels are the images, and whose kernel
    // is dy, dilated by the stride: [ci, groups * n, H, W] * [o, n, H', W'] -> [ci, o, k, k].
    const split = emit.node('Reshape', [x.name, emit.ints([n, groups, ci, height * width])]);
    const images = emit.node('Transpose', [split], { perm: [2, 1, 0, 3] });
    const input = emit.node('Reshape', [images, emit.ints([ci, groups * n, height, width])]);
    const weight = emit.node('Transpose', [dy.name], { perm: [1, 0, 2, 3] });
    // Rows and columns that no window reaches are cut off by a smaller padding at the end.
    const end = [yh, yw].map((out, i) => (out - 1) * stride + kernel - padding - [height, width][i]!);
    const correlated = emit.node('Conv', [input, weight], {
      kernel_shape: [yh, yw],
      dilations: [stride, stride],
      pads: [padding, padding, Math.max(0, end[0]!), Math.max(0, end[1]!)],
      group: groups,
    });
    const cut = emit.node('Slice', [
      correlated,
      emit.ints([0, 0]),
      emit.ints([kernel, kernel]),
      emit.ints([2, 3]),
    ]);
    emit.node('Transpose', [cut], { perm: [1, 0, 2, 3] }, [outputs[0]!.name]);
  },
  evaluate: (attributes, [x, dy], outputs) => {
    const dw = new Float64Array(sizeOf(outputs[0]!));
    forEachProduct(attributes, x!.shape, attributes.weightShape, (ix, iw, iy) => {
      dw[iw]! += x!.data[ix]! * dy!.data[iy]!;
    });
    return [dw];
  },
};

export function convWeightGradient(
  b: GraphBuilder,
  x: Value,
  dy: Value,
  attributes: ConvAttributes,
  weightShape: Shape,
): Value {
  return b.one(convWeightGradientOperation, { ...attributes, weightShape }, x, dy);
}

/** Inputs dy; output its sum over all but the channels: [O]. */
function biasGradient(b: GraphBuilder, dy: Value): Value {
  return b.one(channelSumOperation, {}, dy);
}

/** Sum of [N, C, H, W] over everything but the channels: [C]. */
export const channelSumOperation: Operation<Readonly<Record<string, never>>> = {
  name: 'channelSum',
  shape: (_, inputs) => {
    if (inputs[0]!.length !== 4) throw shapeError('channelSum', 'a tensor [N, C, H, W] is wanted', inputs);
    return [[inputs[0]![1]!]];
  },
  gradient: ({ builder, inputs, outputGradients }) => [
    builder.one(channelExpandOperation, { shape: inputs[0]!.shape }, outputGradients[0]!),
  ],
  onnx: ({ emit, inputs, outputs }) => {
    emit.node('ReduceSum', [inputs[0]!.name, emit.ints([0, 2, 3])], { keepdims: 0 }, [outputs[0]!.name]);
  },
  evaluate: (_, [x]) => {
    const [, c, height, width] = x!.shape as [number, number, number, number];
    const y = new Float64Array(c);
    x!.data.forEach((v, i) => (y[Math.floor(i / (height * width)) % c]! += v));
    return [y];
  },
};

/** [C] repeated to [N, C, H, W]. */
export const channelExpandOperation: Operation<{ readonly shape: Shape }> = {
  name: 'channelExpand',
  shape: ({ shape }, inputs) => {
    if (inputs[0]!.length !== 1 || inputs[0]![0] !== shape[1])
      throw shapeError('channelExpand', `a vector [${shape[1]!}] is wanted`, inputs);
    return [shape];
  },
  gradient: ({ builder, outputGradients }) => [builder.one(channelSumOperation, {}, outputGradients[0]!)],
  onnx: ({ emit, attributes: { shape }, inputs, outputs }) => {
    const column = emit.node('Reshape', [inputs[0]!.name, emit.ints([1, shape[1]!, 1, 1])]);
    emit.node('Expand', [column, emit.ints(shape)], {}, [outputs[0]!.name]);
  },
  evaluate: ({ shape }, [x]) => {
    const [, c, height, width] = shape as [number, number, number, number];
    return [
      Float64Array.from({ length: sizeOf(shape) }, (_, i) => x!.data[Math.floor(i / (height * width)) % c]!),
    ];
  },
};
