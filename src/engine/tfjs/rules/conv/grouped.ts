/** Convolutions in groups: TensorFlow.js has none, so each group is one of its own. */
import type { TensorFlow, TfImage } from '../../tensorflow.js';
import type { ConvForm } from './form.js';

/** `form` in each of `groups` groups of channels. */
export function grouped(form: ConvForm, groups: number): ConvForm {
  const channels = (tf: TensorFlow, image: TfImage): TfImage[] => tf.split(image, groups, 3);
  const filters = (tf: TensorFlow, w: TfImage): TfImage[] => tf.split(w, groups, 0);
  return {
    forward: (tf, x, w, stride) => {
      const weights = filters(tf, w);
      return tf.concat(
        channels(tf, x).map((part, i) => form.forward(tf, part, weights[i]!, stride)),
        3,
      );
    },
    inputGradient: (tf, dy, w, stride, inputShape) => {
      const weights = filters(tf, w);
      const shape = [...inputShape.slice(0, 3), inputShape[3]! / groups];
      return tf.concat(
        channels(tf, dy).map((part, i) => form.inputGradient(tf, part, weights[i]!, stride, shape)),
        3,
      );
    },
    weightGradient: (tf, x, dy, stride, weightShape) => {
      const images = channels(tf, x);
      const shape = [weightShape[0]! / groups, ...weightShape.slice(1)];
      return tf.concat(
        channels(tf, dy).map((part, i) => form.weightGradient(tf, images[i]!, part, stride, shape)),
        0,
      );
    },
  };
}
