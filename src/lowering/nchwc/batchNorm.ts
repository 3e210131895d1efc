/**
 * Batch norm in few passes over memory. Means per channel are sums of per-image means; a sum of products over an image is
 * a depthwise convolution whose filter is the other factor as it lies in memory, so it reads and never writes.
 */
import type { Value } from '../../graph/graph.js';
import {
  batchNormGradientOperation,
  batchNormInferenceOperation,
  batchNormOperation,
} from '../../graph/operations/batchNorm.js';
import type { Shape } from '../../util/tensor.js';
import type { BlockedWriter } from './blockedWriter.js';
import { blockedRule } from './rule.js';

/** Planes of more elements are summed row by row first: long sums in float32 lose digits. */
const LONG_SUM = 1024;

/** Mean over height and width of a blocked tensor: [N, padded C, 1, 1]. */
export function imageMeans(w: BlockedWriter, x: string): string {
  return w.operator('GlobalAveragePool', [x]);
}

/** Sum over height and width of the product of two blocked tensors of shape `dims`: blocked [N, padded C, 1, 1]. */
export function imageProducts(w: BlockedWriter, x: string, y: string, dims: Shape): string {
  const [n, c, h, width] = dims as [number, number, number, number];
  const rows = h * width > LONG_SUM ? h : 1;
  const planes = n * c * rows;
  const sums = w.convolution(
    w.reshape(x, [1, planes, h / rows, width]),
    w.reshape(y, [planes, 1, h / rows, width]),
    { kernel: [h / rows, width], groups: planes },
  );
  if (rows === 1) return w.reshape(sums, [n, c, 1, 1]);
  const means = w.operator('GlobalAveragePool', [w.reshape(sums, [n, c, rows, 1])]);
  return w.node('Mul', [means, w.writer.floats([rows])]);
}

/** Mean over the images of [N, padded C, 1, 1]: [padded C]. */
function meanOfImages(w: BlockedWriter, perImage: string): string {
  return w.node('ReduceMean', [perImage], { axes: [0, 2, 3], keepdims: 0 });
}

/** A vector [padded C] as the filter of a depthwise 1x1 convolution. */
const asFilter = (w: BlockedWriter, vector: string, channels: number): string =>
  w.reshape(vector, [w.padded(channels), 1, 1, 1]);

/** x - mean, blocked. */
function centre(w: BlockedWriter, x: Value, mean: string): string {
  const channels = x.shape[1]!;
  const one = w.writer.floats(Array<number>(w.padded(channels)).fill(1), [w.padded(channels), 1, 1, 1]);
  return w.affine(w.blocked(x), channels, one, w.node('Neg', [mean]));
}

/** 1 / sqrt(variance + epsilon). */
function inverseDeviation(w: BlockedWriter, variance: string, epsilon: number): string {
  const shifted = w.node('Add', [variance, w.writer.floats([epsilon])]);
  return w.node('Reciprocal', [w.node('Sqrt', [shifted])]);
}

export const batchNormRule = blockedRule(
  batchNormOperation,
  ({ w, facts, node, attributes, inputs, outputs }) => {
    const [x, scale, shift] = inputs as readonly [Value, Value, Value];
    const [y, meanOut, varianceOut] = outputs as readonly [Value, Value, Value];
    const channels = x.shape[1]!;
    const area = x.shape[2]! * x.shape[3]!;
    const mean = meanOfImages(w, imageMeans(w, w.blocked(x)));
    const centred = centre(w, x, mean);
    const squares = imageProducts(w, centred, centred, w.blockedShape(x.shape));
    const variance = w.node('Mul', [meanOfImages(w, squares), w.writer.floats([1 / area])]);
    const inverse = inverseDeviation(w, variance, attributes.epsilon);
    facts.normalised.set(x, { centred, inverseDeviation: inverse });
    const factor = w.node('Mul', [inverse, w.padVector(w.plain(scale), channels)]);
    w.cut(mean, 0, w.padded(channels), channels, w.plainOutput(meanOut));
    w.cut(variance, 0, w.padded(channels), channels, w.plainOutput(varianceOut));
    w.hold(y, node, {
      fuses: true,
      emit: (fusion) =>
        w.affine(
          centred,
          channels,
          asFilter(w, factor, channels),
          w.padVector(w.plain(shift), channels),
          fusion,
        ),
    });
    return true;
  },
);

/**
 * With v = x - mean and r = 1 / deviation: dshift = sum dy, dscale = r sum dy v, and
 * dx = a dy + b v + c where a = scale r, b = -a r^2 mean(dy v), c = -a mean(dy).
 */
export const batchNormGradientRule = blockedRule(
  batchNormGradientOperation,
  ({ w, facts, attributes, inputs, outputs }) => {
    const [x, scale, mean, variance, dy] = inputs as readonly [Value, Value, Value, Value, Value];
    const [dx, dscale, dshift] = outputs as readonly [Value, Value, Value];
    const channels = x.shape[1]!;
    const area = x.shape[2]! * x.shape[3]!;
    const count = x.shape[0]! * area;
    const { centred, inverseDeviation: inverse } = facts.normalised.get(x) ?? {
      centred: centre(w, x, w.padVector(w.plain(mean), channels)),
      inverseDeviation: inverseDeviation(w, w.padVector(w.plain(variance), channels), attributes.epsilon),
    };
    const { writer } = w;
    const mul = (a: string, b: string): string => w.node('Mul', [a, b]);
    const gradient = w.blocked(dy);
    const meanDy = meanOfImages(w, imageMeans(w, gradient));
    // Mean over the images of sums over positions, times r: N / (N H W) of it is the mean that dx wants.
    const products = mul(
      meanOfImages(w, imageProducts(w, gradient, centred, w.blockedShape(x.shape))),
      inverse,
    );
    const a = mul(w.padVector(w.plain(scale), channels), inverse);
    const minusA = w.node('Neg', [a]);
    const b = mul(mul(minusA, mul(products, inverse)), writer.floats([1 / area]));
    const rest = w.affine(centred, channels, asFilter(w, b, channels), mul(minusA, meanDy));
    w.setBlocked(dx, w.affine(gradient, channels, asFilter(w, a, channels), undefined, { sum: rest }));
    const result = (perImage: string, factor: number, value: Value): void =>
      void w.cut(
        mul(perImage, writer.floats([factor])),
        0,
        w.padded(channels),
        channels,
        w.plainOutput(value),
      );
    result(products, x.shape[0]!, dscale);
    result(meanDy, count, dshift);
    return true;
  },
);

/** One affine convolution. */
export const batchNormInferenceRule = blockedRule(
  batchNormInferenceOperation,
  ({ w, node, attributes, inputs, outputs }) => {
    const [x, ...vectors] = inputs as readonly [Value, ...Value[]];
    if (!w.isBlocked(x)) return false;
    const channels = x.shape[1]!;
    const emit: Parameters<typeof w.hold>[2]['emit'] = (fusion) => {
      const [scale, shift, mean, variance] = vectors.map((v) => w.plain(v)) as [
        string,
        string,
        string,
        string,
      ];
      const factor = w.node('Mul', [scale, inverseDeviation(w, variance, attributes.epsilon)]);
      const offset = w.node('Sub', [shift, w.node('Mul', [mean, factor])]);
      return w.affine(
        w.blocked(x),
        channels,
        asFilter(w, w.padVector(factor, channels), channels),
        w.padVector(offset, channels),
        fusion,
      );
    };
    w.hold(outputs[0]!, node, { emit, fuses: true });
    return true;
  },
);
