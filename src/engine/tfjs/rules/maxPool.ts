/** Maximum over windows; the first of equal ones, row by row, is the maximum. */
import {
  maximaOfOperation,
  maxPoolGradientOperation,
  maxPoolOperation,
} from '../../../graph/operations/maxPool.js';
import type { PoolAttributes } from '../../../graph/operations/window.js';
import type { Shape } from '../../../util/tensor.js';
import { channelsLast, rule } from '../rule.js';
import { rank4, type TensorFlow, type TfImage, type TfTensor } from '../tensorflow.js';
import { addMargin, removeMargin } from './margin.js';
import { poolKernel, windowMargin } from './window.js';

/** The image that the windows cover; what lies outside is never a maximum. */
const covered = (tf: TensorFlow, x: TfTensor, attributes: PoolAttributes, shape: Shape): TfImage =>
  addMargin(tf, rank4(x), windowMargin(attributes, shape), -Infinity);

const pooled = (tf: TensorFlow, image: TfImage, { kernel, stride }: PoolAttributes): TfImage =>
  tf.maxPool(image, kernel, stride, 'valid');

export const maxPoolRule = rule(maxPoolOperation, channelsLast, ({ tf, attributes, inputShapes }, [x]) =>
  pooled(tf, covered(tf, x!, attributes, inputShapes[0]!), attributes),
);

export const maxPoolGradientRule = rule(
  maxPoolGradientOperation,
  channelsLast,
  ({ tf, attributes, inputShapes }, [x, dy]) => {
    const input = covered(tf, x!, attributes, inputShapes[0]!);
    const output = pooled(tf, input, attributes);
    const spread = tf
      .engine()
      .runKernel<TfImage>(tf.MaxPoolGrad, { dy: dy!, input, output }, poolKernel(attributes));
    return removeMargin(tf, spread, windowMargin(attributes, inputShapes[0]!));
  },
);

/** The windows' pixels in that row and column of each. */
function tap(
  tf: TensorFlow,
  image: TfImage,
  { stride, windows }: PoolAttributes,
  row: number,
  column: number,
): TfImage {
  const [n, , , c] = image.shape;
  const end = (first: number, count: number): number => first + (count - 1) * stride + 1;
  return rank4(
    tf.stridedSlice(
      image,
      [0, row, column, 0],
      [n, end(row, windows[0]), end(column, windows[1]), c],
      [1, stride, stride, 1],
    ),
  );
}

export const maximaOfRule = rule(
  maximaOfOperation,
  channelsLast,
  ({ tf, attributes, inputShapes }, [x, g]) => {
    const image = covered(tf, x!, attributes, inputShapes[0]!);
    const given = addMargin(tf, rank4(g!), windowMargin(attributes, inputShapes[0]!));
    let [best, taken] = [tap(tf, image, attributes, 0, 0), tap(tf, given, attributes, 0, 0)];
    for (let i = 1; i < attributes.kernel ** 2; i++) {
      const [row, column] = [Math.floor(i / attributes.kernel), i % attributes.kernel];
      const candidate = tap(tf, image, attributes, row, column);
      const better = tf.greater(candidate, best);
      taken = tf.where(better, tap(tf, given, attributes, row, column), taken);
      best = tf.maximum(candidate, best);
    }
    return taken;
  },
);
