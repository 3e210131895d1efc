/** Convolutions in groups: TensorFlow.js has none, so each group is one of its own. */
import type { Shape4, TensorFlow, TfImage } from '../../tensorflow.js';
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
      const [n, height, width, c] = inputShape;
      const shape: Shape4 = [n, height, width, c / groups];
      return tf.concat(
        channels(tf, dy).map((part, i) => form.inputGradient(tf, part, weights[i]!, stride, shape)),
        3,
      );
    },
    weightGradient: (tf, x, dy, stride, weightShape) => {
      const images = channels(tf, x);
      const [o, ...rest] = weightShape;
      const shape: Shape4 = [o / groups, ...rest];
      return tf.concat(
        channels(tf, dy).map((part, i) => form.weightGradient(tf, images[i]!, part, stride, shape)),
        0,
      );
    },
  };
}
