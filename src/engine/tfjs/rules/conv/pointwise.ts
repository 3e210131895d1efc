/** Convolutions of one pixel, stride 1: products of matrices whose rows are pixels. */
import type { TensorFlow, TfImage, TfTensor } from '../../tensorflow.js';
import type { ConvForm } from './form.js';

/** [N, H, W, C] as [N * H * W, C]. */
const pixels = (tf: TensorFlow, image: TfImage): TfTensor => tf.reshape(image, [-1, image.shape[3]]);

/** [O, C, 1, 1] as [O, C]. */
const matrix = (tf: TensorFlow, w: TfImage): TfTensor => tf.reshape(w, [w.shape[0], w.shape[1]]);

/** Rows of pixels as an image of the size of `like`. */
function image(tf: TensorFlow, rows: TfTensor, like: TfImage): TfImage {
  const [n, height, width] = like.shape;
  return tf.reshape(rows, [n, height, width, rows.shape[1]!]);
}

export const pointwise: ConvForm = {
  forward: (tf, x, w) => image(tf, tf.matMul(pixels(tf, x), matrix(tf, w), false, true), x),
  inputGradient: (tf, dy, w) => image(tf, tf.matMul(pixels(tf, dy), matrix(tf, w)), dy),
  weightGradient: (tf, x, dy, _stride, weightShape) =>
    tf.reshape(tf.matMul(pixels(tf, dy), pixels(tf, x), true), weightShape),
};
