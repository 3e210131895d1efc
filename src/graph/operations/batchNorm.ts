/**
 * Batch normalisation of [N, C, H, W] over everything but the channels (Ioffe & Szegedy, 2015), in training form with
 * its gradient, and in inference form.
 */
import {
  shapeError,
  type GradientCall,
  type GraphBuilder,
  type OnnxCall,
  type Operation,
  type Tensor64,
  type Value,
} from '../graph.js';
import { sizeOf, type Shape } from '../../util/tensor.js';
import { channelExpandOperation, channelSumOperation } from './conv.js';
import { add, affine, mul, sub } from './elementwise.js';
import { reshape } from './shape.js';

export interface BatchNormAttributes {
  readonly epsilon: number;
}

function requireVectors(operation: string, inputs: readonly Shape[], vectors: readonly number[]): void {
  const x = inputs[0]!;
  const fits = x.length === 4 && vectors.every((i) => inputs[i]?.length === 1 && inputs[i][0] === x[1]);
  if (!fits) throw shapeError(operation, 'x [N, C, H, W] and vectors [C] are wanted', inputs);
}

/** Calls `visit(offset, channel)` for each element of a tensor [N, C, H, W]. */
function forEachElement([n, c, h, w]: Shape, visit: (offset: number, channel: number) => void): void {
  const area = h! * w!;
  for (let i = 0; i < n! * c! * area; i++) visit(i, Math.floor(i / area) % c!);
}

function statistics(x: Tensor64): { mean: Float64Array; variance: Float64Array } {
  const channels = x.shape[1]!;
  const count = x.data.length / channels;
  const mean = new Float64Array(channels);
  const variance = new Float64Array(channels);
  forEachElement(x.shape, (i, c) => (mean[c]! += x.data[i]! / count));
  forEachElement(x.shape, (i, c) => (variance[c]! += (x.data[i]! - mean[c]!) ** 2 / count));
  return { mean, variance };
}

/** A vector [C] as [1, C, 1, 1]. */
const column = (call: Pick<OnnxCall<unknown>, 'emit'>, name: string, channels: number): string =>
  call.emit.node('Reshape', [name, call.emit.ints([1, channels, 1, 1])]);

/** Name of 1 / sqrt(variance + epsilon). */
function inverseDeviation(
  { emit }: Pick<OnnxCall<unknown>, 'emit'>,
  variance: string,
  epsilon: number,
): string {
  return emit.node('Reciprocal', [emit.node('Sqrt', [emit.node('Add', [variance, emit.floats([epsilon])])])]);
}

/** A vector [C] that broadcasts over [N, C, H, W]. */
const perChannel = (b: GraphBuilder, vector: Value): Value => reshape(b, vector, [1, vector.shape[0]!, 1, 1]);
const channelSum = (b: GraphBuilder, x: Value): Value => b.one(channelSumOperation, {}, x);
const elementsPerChannel = ({ shape }: Value): number => sizeOf(shape) / shape[1]!;
const sum = (b: GraphBuilder, ...terms: readonly Value[]): Value => terms.reduce((x, y) => add(b, x, y));

/**
 * Inputs x, scale [C], shift [C]; outputs y = scale * (x - mean) / sqrt(variance + epsilon) + shift, the batch's mean
 * [C] and its biased variance [C].
 */
export const batchNormOperation: Operation<BatchNormAttributes> = {
  name: 'batchNorm',
  shape: (_, inputs) => {
    requireVectors('batchNorm', inputs, [1, 2]);
    return [inputs[0]!, [inputs[0]![1]!], [inputs[0]![1]!]];
  },
  gradient: ({ builder, attributes, inputs, outputs, outputGradients }) => {
    const [x, scale] = inputs as readonly [Value, Value];
    const [, mean, variance] = outputs as readonly [Value, Value, Value];
    const [dy, dmean, dvariance] = outputGradients;
    const [dx, dscale, dshift] =
      dy === undefined
        ? []
        : builder.apply(batchNormGradientOperation, attributes, [x, scale, mean, variance, dy]);
    // The statistics as outputs, of M elements: dx = dmean / M + dvariance * 2 (x - mean) / M.
    const each = 1 / elementsPerChannel(x);
    const ofStatistics: Value[] = [];
    if (dmean !== undefined)
      ofStatistics.push(
        builder.one(channelExpandOperation, { shape: x.shape }, affine(builder, dmean, each)),
      );
    if (dvariance !== undefined)
      ofStatistics.push(
        mul(
          builder,
          sub(builder, x, perChannel(builder, mean)),
          perChannel(builder, affine(builder, dvariance, 2 * each)),
        ),
      );
    const parts = dx === undefined ? ofStatistics : [dx, ...ofStatistics];
    return [parts.length === 0 ? undefined : sum(builder, ...parts), dscale, dshift];
  },
  onnx: (call) => {
    const { emit, attributes, inputs, outputs } = call;
    const [x, scale, shift] = inputs as readonly [OnnxTensor, OnnxTensor, OnnxTensor];
    const channels = x.shape[1]!;
    const mean = emit.node('ReduceMean', [x.name], { axes: [0, 2, 3], keepdims: 1 });
    const centred = emit.node('Sub', [x.name, mean]);
    const variance = emit.node('ReduceMean', [emit.node('Mul', [centred, centred])], {
      axes: [0, 2, 3],
      keepdims: 1,
    });
    const factor = emit.node('Mul', [
      inverseDeviation(call, variance, attributes.epsilon),
      column(call, scale.name, channels),
    ]);
    emit.node('Add', [emit.node('Mul', [centred, factor]), column(call, shift.name, channels)], {}, [
      outputs[0]!.name,
    ]);
    emit.node('Reshape', [mean, emit.ints([channels])], {}, [outputs[1]!.name]);
    emit.node('Reshape', [variance, emit.ints([channels])], {}, [outputs[2]!.name]);
  },
  evaluate: ({ epsilon }, [x, scale, shift]) => {
    const { mean, variance } = statistics(x!);
    const y = new Float64Array(x!.data.length);
    forEachElement(x!.shape, (i, c) => {
      y[i] =
        ((x!.data[i]! - mean[c]!) / Math.sqrt(variance[c]! + epsilon)) * scale!.data[c]! + shift!.data[c]!;
    });
    return [y, mean, variance];
  },
};
type OnnxTensor = OnnxCall<unknown>['inputs'][number];

export interface BatchNormResult {
  readonly y: Value;
  readonly mean: Value;
  readonly variance: Value;
}

export function batchNorm(
  b: GraphBuilder,
  x: Value,
  scale: Value,
  shift: Value,
  epsilon: number,
): BatchNormResult {
  const [y, mean, variance] = b.apply(batchNormOperation, { epsilon }, [x, scale, shift]) as readonly [
    Value,
    Value,
    Value,
  ];
  return { y, mean, variance };
}

/**
 * Inputs x, scale, mean, variance (of that x), dy; outputs dx, dscale, dshift. With u = (x - mean) / deviation over M
 * elements a channel: dshift = sum dy, dscale = sum dy * u, dx = scale / deviation * (dy - dshift / M - u * dscale / M).
 */
export const batchNormGradientOperation: Operation<BatchNormAttributes> = {
  name: 'batchNormGradient',
  shape: (_, inputs) => {
    requireVectors('batchNormGradient', inputs, [1, 2, 3]);
    const channels = inputs[0]![1]!;
    return [inputs[0]!, [channels], [channels]];
  },
  gradient: secondDerivatives,
  onnx: (call) => {
    const { emit, attributes, inputs, outputs } = call;
    const [x, scale, mean, variance, dy] = inputs as readonly [
      OnnxTensor,
      OnnxTensor,
      OnnxTensor,
      OnnxTensor,
      OnnxTensor,
    ];
    const channels = x.shape[1]!;
    const count = x.shape[0]! * x.shape[2]! * x.shape[3]!;
    const inverse = column(call, inverseDeviation(call, variance.name, attributes.epsilon), channels);
    const u = emit.node('Mul', [emit.node('Sub', [x.name, column(call, mean.name, channels)]), inverse]);
    const axes = emit.ints([0, 2, 3]);
    const shiftSum = emit.node('ReduceSum', [dy.name, axes], { keepdims: 1 });
    const scaleSum = emit.node('ReduceSum', [emit.node('Mul', [dy.name, u]), axes], { keepdims: 1 });
    const perElement = emit.floats([1 / count]);
    const inner = emit.node('Sub', [
      emit.node('Sub', [dy.name, emit.node('Mul', [shiftSum, perElement])]),
      emit.node('Mul', [u, emit.node('Mul', [scaleSum, perElement])]),
    ]);
    emit.node('Mul', [inner, emit.node('Mul', [column(call, scale.name, channels), inverse])], {}, [
      outputs[0]!.name,
    ]);
    emit.node('Reshape', [scaleSum, emit.ints([channels])], {}, [outputs[1]!.name]);
    emit.node('Reshape', [shiftSum, emit.ints([channels])], {}, [outputs[2]!.name]);
  },
  evaluate: ({ epsilon }, [x, scale, mean, variance, dy]) => {
    const channels = x!.shape[1]!;
    const count = x!.data.length / channels;
    const dscale = new Float64Array(channels);
    const dshift = new Float64Array(channels);
    const dx = new Float64Array(x!.data.length);
    const u = (i: number, c: number): number =>
      (x!.data[i]! - mean!.data[c]!) / Math.sqrt(variance!.data[c]! + epsilon);
    forEachElement(x!.shape, (i, c) => {
      dshift[c]! += dy!.data[i]!;
      dscale[c]! += dy!.data[i]! * u(i, c);
    });
    forEachElement(x!.shape, (i, c) => {
      dx[i] =
        (scale!.data[c]! / Math.sqrt(variance!.data[c]! + epsilon)) *
        (dy!.data[i]! - dshift[c]! / count - (u(i, c) * dscale[c]!) / count);
    });
    return [dx, dscale, dshift];
  },
};

/**
 * Partial derivatives of batchNormGradient, its five inputs taken as independent (x also reaches it through mean and
 * variance, which batchNorm itself accounts for). With r = 1 / deviation, s the scale, G, gs, gh the gradients of dx, dscale,
 * dshift, a bar for means over the M elements of a channel, sums likewise a channel:
 *
 *     f = s r P + gs sum(dy u) + gh sum(dy),  P = sum(G dy) - M bar(G) bar(dy) - M bar(G u) bar(dy u)
 *     df/du = U = gs dy - s r (G bar(dy u) + dy bar(G u))
 *     df/dx = r U,  df/dmean = -r sum(U),  df/dvariance = -r^2 (s r P + sum(U u)) / 2,  df/dscale = r P
 *     df/ddy = s r (G - bar(G) - u bar(G u)) + gs u + gh
 */
function secondDerivatives(call: GradientCall<BatchNormAttributes>): (Value | undefined)[] {
  const { builder: b, attributes, outputGradients, needed } = call;
  const [x, scale, mean, variance, dy] = call.inputs as readonly [Value, Value, Value, Value, Value];
  const zeros = affine(b, scale, 0);
  const ones = affine(b, scale, 0, 1);
  const times = (value: Value, vector: Value): Value => mul(b, value, perChannel(b, vector));
  const minus = (value: Value): Value => affine(b, value, -1);
  const bar = (value: Value): Value => affine(b, channelSum(b, value), 1 / elementsPerChannel(x));
  const normalised = (value: Value, m: Value): Value =>
    b.one(batchNormInferenceOperation, attributes, value, ones, zeros, m, variance);
  const column: Shape = [1, scale.shape[0]!, 1, 1];
  const r = reshape(b, normalised(reshape(b, ones, column), zeros), scale.shape);
  const u = normalised(x, mean);
  const [G, gs = zeros, gh = zeros] = outputGradients;

  const uParts = [times(dy, gs)];
  const dyParts = [times(u, gs), b.one(channelExpandOperation, { shape: x.shape }, gh)];
  let rP = zeros;
  if (G !== undefined) {
    const sr = mul(b, scale, r);
    const [barG, barGu, barDyu] = [bar(G), bar(mul(b, G, u)), bar(mul(b, dy, u))] as const;
    // sum((G - bar(G) - u bar(G u)) dy) is P.
    const inner = sum(b, G, minus(perChannel(b, barG)), minus(times(u, barGu)));
    rP = mul(b, r, channelSum(b, mul(b, inner, dy)));
    uParts.push(minus(times(sum(b, times(G, barDyu), times(dy, barGu)), sr)));
    dyParts.push(times(inner, sr));
  }
  const U = sum(b, ...uParts);
  const halfSquare = affine(b, mul(b, r, r), -0.5);
  return [
    needed[0]! ? times(U, r) : undefined,
    needed[1]! ? rP : undefined,
    needed[2]! ? minus(mul(b, r, channelSum(b, U))) : undefined,
    needed[3]! ? mul(b, halfSquare, add(b, mul(b, scale, rP), channelSum(b, mul(b, U, u)))) : undefined,
    needed[4]! ? sum(b, ...dyParts) : undefined,
  ];
}

/** Inputs x, scale, shift, mean, variance; y = scale * (x - mean) / sqrt(variance + epsilon) + shift with given statistics. */
export const batchNormInferenceOperation: Operation<BatchNormAttributes> = {
  name: 'batchNormInference',
  shape: (_, inputs) => {
    requireVectors('batchNormInference', inputs, [1, 2, 3, 4]);
    return [inputs[0]!];
  },
  // The statistics are data here, not functions of x; only x, scale and shift are differentiated.
  gradient: ({ builder, attributes, inputs, outputGradients, needed }) => {
    const [x, scale, shift, mean, variance] = inputs as readonly [Value, Value, Value, Value, Value];
    const dy = outputGradients[0]!;
    if (needed[3]! || needed[4]!)
      throw new TypeError('Cannot differentiate batchNormInference with respect to its statistics');
    const zeros = affine(builder, mean, 0);
    const normalise = (v: Value, s: Value, t: Value, m: Value): Value =>
      builder.one(batchNormInferenceOperation, attributes, v, s, t, m, variance);
    const ones = affine(builder, scale, 0, 1);
    return [
      needed[0]! ? normalise(dy, scale, affine(builder, shift, 0), zeros) : undefined,
      needed[1]!
        ? channelSum(builder, mul(builder, dy, normalise(x, ones, affine(builder, shift, 0), mean)))
        : undefined,
      needed[2]! ? channelSum(builder, dy) : undefined,
      undefined,
      undefined,
    ];
  },
  onnx: ({ emit, attributes, inputs, outputs }) => {
    emit.node(
      'BatchNormalization',
      inputs.map(({ name }) => name),
      { epsilon: { float: attributes.epsilon } },
      [outputs[0]!.name],
    );
  },
  evaluate: ({ epsilon }, [x, scale, shift, mean, variance]) => {
    const y = new Float64Array(x!.data.length);
    forEachElement(x!.shape, (i, c) => {
      y[i] =
        ((x!.data[i]! - mean!.data[c]!) / Math.sqrt(variance!.data[c]! + epsilon)) * scale!.data[c]! +
        shift!.data[c]!;
    });
    return [y];
  },
};
