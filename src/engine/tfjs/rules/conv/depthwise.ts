/** Convolutions of each channel by itself, with one or several output channels for each. */
import type { TensorFlow, TfImage } from '../../tensorflow.js';
import type { ConvForm } from './form.js';

/** [C * m, 1, k, k] as TensorFlow wants it: [k, k, C, m]. */
function filterOf(tf: TensorFlow, w: TfImage, channels: number): TfImage {
  const [o, , kernel] = w.shape;
  return tf.transpose(tf.reshape(w, [channels, o / channels, kernel, kernel]), [2, 3, 0, 1]);
}

export const depthwise: ConvForm = {
  forward: (tf, x, w, stride) => tf.depthwiseConv2d(x, filterOf(tf, w, x.shape[3]), stride, 'valid'),
  inputGradient: (tf, dy, w, stride, inputShape) =>
    tf
      .engine()
      .runKernel<TfImage>(
        tf.DepthwiseConv2dNativeBackpropInput,
        { dy, filter: filterOf(tf, w, inputShape[3]) },
        { strides: [stride, stride], dilations: [1, 1], pad: 'valid', inputShape },
      ),
  weightGradient: (tf, x, dy, stride, weightShape) => {
    const [o, , kernel] = weightShape;
    const channels = x.shape[3];
    const filter = tf.engine().runKernel<TfImage>(
      tf.DepthwiseConv2dNativeBackpropFilter,
      { x, dy },
      {
        strides: [stride, stride],
        dilations: [1, 1],
        pad: 'valid',
        filterShape: [kernel, kernel, channels, o / channels],
      },
    );
    return tf.reshape(tf.transpose(filter, [2, 3, 0, 1]), weightShape);
  },
};
