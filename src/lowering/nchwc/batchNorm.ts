/** Batch norm in few passes over memory: two that read and one that writes, forward and backward. */
import type { Node, Value } from '../../graph/graph.js';
import {
  batchNormGradientOperation,
  batchNormInferenceOperation,
  batchNormOperation,
} from '../../graph/operations/batchNorm.js';
import type { BlockedWriter } from './blockedWriter.js';
import type { Fusion } from './operators.js';
import type { Normalised } from './facts.js';
import { imageMeans, imageProducts, sumOfImages } from './reductions.js';
import { blockedRule } from './rule.js';

/** A vector [padded C] as the filter of a depthwise 1x1 convolution. */
export const asFilter = (w: BlockedWriter, vector: string, channels: number): string =>
  w.reshape(vector, [w.padded(channels), 1, 1, 1]);

/** x - mean, blocked. */
function centre(w: BlockedWriter, x: Value, minusMean: string): string {
  const channels = x.shape[1]!;
  return w.affine(w.blocked(x), channels, w.ones(channels), minusMean);
}

/** 1 / sqrt(variance + epsilon). */
function inverseDeviation(w: BlockedWriter, variance: string, epsilon: number): string {
  const shifted = w.node('Add', [variance, w.writer.floats([epsilon])]);
  return w.node('Reciprocal', [w.node('Sqrt', [shifted])]);
}

/** Whether nothing reads x but the batch norm and its gradient, so that x itself need not exist. */
function onlyNormalised(w: BlockedWriter, x: Value, node: Node): boolean {
  const users = w.users(x);
  return (
    users?.every(
      (user) =>
        user === node ||
        (user.operation.name === batchNormGradientOperation.name && user.inputs.lastIndexOf(x) === 0),
    ) ?? false
  );
}

/**
 * The variance is the mean of squares of something near x - mean, less the square of its mean: no digits are lost where
 * the mean is much larger than the deviation. A convolution gives x less an estimate of its mean at no cost.
 */
export const batchNormRule = blockedRule(
  batchNormOperation,
  ({ w, facts, node, attributes, inputs, outputs }) => {
    const [x, scale, shift] = inputs as readonly [Value, Value, Value];
    const [y, meanOut, varianceOut] = outputs as readonly [Value, Value, Value];
    const [n, channels, h, width] = x.shape as [number, number, number, number];
    const held = onlyNormalised(w, x, node) ? w.held(x) : undefined;
    const near = held?.emitNear && w.writer.within(held.scope, held.emitNear);
    const all = (name: string): string => sumOfImages(w, imageMeans(w, name), x.shape, 1 / n);
    const mean = near === undefined ? all(w.blocked(x)) : undefined;
    const source = near?.name ?? centre(w, x, w.node('Neg', [mean!]));
    const residual = near === undefined ? undefined : all(source);
    const products = imageProducts(w, source, source, w.blockedShape(x.shape));
    const squares = sumOfImages(w, products, x.shape, 1 / (n * h * width));
    if (near === undefined) w.cut(mean!, 0, w.padded(channels), channels, w.plainOutput(meanOut));
    else w.vectorResult(meanOut, (output) => w.node('Sub', [residual!, near.minusEstimate], {}, output));
    let variance = squares;
    if (residual === undefined) w.cut(squares, 0, w.padded(channels), channels, w.plainOutput(varianceOut));
    else {
      variance = w.vectorResult(varianceOut, (output) =>
        w.node('Sub', [squares, w.node('Mul', [residual, residual])], {}, output),
      );
    }
    const inverse = inverseDeviation(w, variance, attributes.epsilon);
    const factor = w.node('Mul', [inverse, w.padVector(w.plain(scale), channels)]);
    facts.normalised.set(x, { source, residual, inverseDeviation: inverse, factor });
    w.hold(y, node, {
      fuses: true,
      emit: (fusion) => {
        const offset = w.padVector(w.plain(shift), channels);
        return w.affine(
          source,
          channels,
          asFilter(w, factor, channels),
          residual === undefined ? offset : w.node('Sub', [offset, w.node('Mul', [factor, residual])]),
          fusion,
        );
      },
    });
    return true;
  },
);

/**
 * With v = x - mean, r = 1 / deviation and M elements a channel: dshift = sum dy, dscale = r sum dy v, and
 * dx = scale r (dy - dshift / M - v r dscale / M). The factor scale r is left to those who read dx: a convolution's
 * gradients take it up in their weights. The rest is one convolution of v added to dy.
 */
export const batchNormGradientRule = blockedRule(
  batchNormGradientOperation,
  ({ w, facts, node, attributes, inputs, outputs }) => {
    const [x, scale, mean, variance, dy] = inputs as readonly [Value, Value, Value, Value, Value];
    const [dx, dscale, dshift] = outputs as readonly [Value, Value, Value];
    const [n, channels, h, width] = x.shape as [number, number, number, number];
    const area = h * width;
    const mul = (a: string, b: string, output?: readonly string[]): string =>
      w.node('Mul', [a, b], {}, output);
    const recomputed = (): Normalised => {
      const minusMean = w.node('Neg', [w.padVector(w.plain(mean), channels)]);
      const inverse = inverseDeviation(w, w.padVector(w.plain(variance), channels), attributes.epsilon);
      return {
        source: centre(w, x, minusMean),
        residual: undefined,
        inverseDeviation: inverse,
        factor: mul(inverse, w.padVector(w.plain(scale), channels)),
      };
    };
    const { source, residual, inverseDeviation: inverse, factor } = facts.normalised.get(x) ?? recomputed();
    const gradient = w.blocked(dy);
    const means = imageMeans(w, gradient);
    const minusMean = sumOfImages(w, means, x.shape, -1 / n);
    const sum = w.vectorResult(dshift, (output) => sumOfImages(w, means, x.shape, area, output));
    const products = sumOfImages(w, imageProducts(w, gradient, source, w.blockedShape(x.shape)), x.shape, 1);
    // Sum dy v, where v is the source less its mean.
    const covariance = residual === undefined ? products : w.node('Sub', [products, mul(residual, sum)]);
    const slope = w.vectorResult(dscale, (output) => mul(covariance, inverse, output));
    const minusQ = mul(slope, mul(inverse, w.writer.floats([-1 / (n * area)])));
    const offset = residual === undefined ? minusMean : w.node('Sub', [minusMean, mul(residual, minusQ)]);
    const base = w.affine(source, channels, asFilter(w, minusQ, channels), offset, { sum: gradient });
    facts.scaled.set(dx, { base, factor });
    w.hold(dx, node, {
      fuses: true,
      emit: (fusion) => w.affine(base, channels, asFilter(w, factor, channels), undefined, fusion),
    });
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
    const emit = (fusion: Fusion): string => {
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
