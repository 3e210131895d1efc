/** Mean over windows, of the positions that lie in the image. */
import { averagePoolGradientOperation, averagePoolOperation } from '../../../graph/operations/averagePool.js';
import type { PoolAttributes } from '../../../graph/operations/window.js';
import type { Shape } from '../../../util/tensor.js';
import { channelsLast, rule } from '../rule.js';
import { rank4, shape4, type TensorFlow, type TfImage } from '../tensorflow.js';
import { addMargin, removeMargin } from './margin.js';
import { poolKernel, windowMargin } from './window.js';

/** Mean over windows, zeros outside the image among them. */
function meanWithMargin(tf: TensorFlow, image: TfImage, attributes: PoolAttributes, shape: Shape): TfImage {
  const covered = addMargin(tf, image, windowMargin(attributes, shape));
  return tf.avgPool(covered, attributes.kernel, attributes.stride, 'valid');
}

/** The part of each window that lies in an image of `shape` (the graph's): [1, H', W', 1]. */
const partInside = (tf: TensorFlow, attributes: PoolAttributes, shape: Shape): TfImage =>
  meanWithMargin(tf, tf.ones([1, shape[2]!, shape[3]!, 1]), attributes, shape);

export const averagePoolRule = rule(
  averagePoolOperation,
  channelsLast,
  ({ tf, attributes, inputShapes }, [x]) =>
    tf.div(
      meanWithMargin(tf, rank4(x!), attributes, inputShapes[0]!),
      partInside(tf, attributes, inputShapes[0]!),
    ),
);

export const averagePoolGradientRule = rule(
  averagePoolGradientOperation,
  channelsLast,
  ({ tf, attributes: { inputShape, ...attributes } }, [dy]) => {
    const margin = windowMargin(attributes, inputShape);
    const [n, c, height, width] = shape4(inputShape);
    const input = tf.zeros([n, height + margin.top + margin.bottom, width + margin.left + margin.right, c]);
    const shares = tf.div(dy!, partInside(tf, attributes, inputShape));
    // The kernel reads no more than the shape of `input`.
    const spread = tf
      .engine()
      .runKernel<TfImage>(tf.AvgPoolGrad, { dy: shares, input }, poolKernel(attributes));
    return removeMargin(tf, spread, margin);
  },
);
