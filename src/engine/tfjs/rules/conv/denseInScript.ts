/**
 * `dense` on the backend in JavaScript, whose kernels of weight gradients take ten times as long as its convolutions of the
 * same size.
 */
import type { ConvForm } from './form.js';
import { dense } from './dense.js';

export const denseInScript: ConvForm = {
  ...dense,
  // A convolution whose batch is the input channels, whose input channels are the images, and whose kernel is dy, dilated
  // by the stride: [C, H, W, N] * [H', W', N, O] -> [C, k, k, O].
  weightGradient: (tf, x, dy, stride, [, c, kernel]) => {
    const images = tf.transpose(x, [3, 1, 2, 0]);
    const filter = tf.transpose(dy, [1, 2, 0, 3]);
    const correlated = tf.conv2d(images, filter, 1, 'valid', 'NHWC', stride);
    // The rows and columns behind are those that no window reaches.
    const taps = tf.slice(correlated, [0, 0, 0, 0], [c, kernel, kernel, -1]);
    return tf.transpose(taps, [3, 0, 1, 2]);
  },
};
