/** Convolutions in which every output channel sees all input channels. */
import type { TensorFlow, TfImage } from '../../tensorflow.js';
import type { ConvForm } from './form.js';

/** [O, C, k, k] as TensorFlow wants it: [k, k, C, O]. */
const filterOf = (tf: TensorFlow, w: TfImage): TfImage => tf.transpose(w, [2, 3, 1, 0]);

export const dense: ConvForm = {
  forward: (tf, x, w, stride) => tf.conv2d(x, filterOf(tf, w), stride, 'valid'),
  inputGradient: (tf, dy, w, stride, inputShape) =>
    tf.conv2dTranspose(dy, filterOf(tf, w), inputShape, stride, 'valid'),
  weightGradient: (tf, x, dy, stride, [o, c, kernel]) => {
    const filter = tf.engine().runKernel<TfImage>(
      tf.Conv2DBackpropFilter,
      { x, dy },
      {
        strides: [stride, stride],
        pad: 'valid',
        dataFormat: 'NHWC',
        filterShape: [kernel, kernel, c, o],
      },
    );
    return tf.transpose(filter, [3, 2, 0, 1]);
  },
};
