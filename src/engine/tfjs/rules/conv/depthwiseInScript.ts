/** `depthwise` on the backend in JavaScript, for the reason `denseInScript` has. */
import type { TfImage } from '../../tensorflow.js';
import { depthwise } from './depthwise.js';
import type { ConvForm } from './form.js';

export const depthwiseInScript: ConvForm = {
  ...depthwise,
  // A convolution of one image whose channels are all images' channels, each with its own dy, dilated by the stride, as
  // kernel: [1, H, W, N * C] * [H', W', N * C, m] -> [1, k, k, N * C * m], summed over the images.
  weightGradient: (tf, x, dy, stride, weightShape) => {
    const [n, height, width, c] = x.shape;
    const [, rows, columns, o] = dy.shape;
    const kernel = weightShape[2];
    const image: TfImage = tf.reshape(tf.transpose(x, [1, 2, 0, 3]), [1, height, width, n * c]);
    const filter: TfImage = tf.reshape(tf.transpose(dy, [1, 2, 0, 3]), [rows, columns, n * c, o / c]);
    const correlated = tf.depthwiseConv2d(image, filter, 1, 'valid', 'NHWC', stride);
    // The rows and columns behind are those that no window reaches.
    const taps = tf.slice(correlated, [0, 0, 0, 0], [1, kernel, kernel, -1]);
    const summed = tf.sum(tf.reshape(taps, [kernel ** 2, n, o]), 1);
    return tf.reshape(tf.transpose(summed), weightShape);
  },
};
