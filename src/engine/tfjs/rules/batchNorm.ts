/** Batch normalisation. Images lie as [N, H, W, C], so that vectors [C] broadcast to them as they are. */
import {
  batchNormGradientOperation,
  batchNormInferenceOperation,
  batchNormOperation,
} from '../../../graph/operations/batchNorm.js';
import { channelsLast, rule } from '../rule.js';
import { shape4, type TensorFlow, type TfTensor } from '../tensorflow.js';

const ALL_BUT_CHANNELS = [0, 1, 2];

const inverseDeviation = (tf: TensorFlow, variance: TfTensor, epsilon: number): TfTensor =>
  tf.rsqrt(tf.add(variance, epsilon));

export const batchNormRule = rule(
  batchNormOperation,
  channelsLast,
  ({ tf, attributes }, [x, scale, shift]) => {
    const mean = tf.mean(x!, ALL_BUT_CHANNELS);
    const centred = tf.sub(x!, mean);
    const variance = tf.mean(tf.square(centred), ALL_BUT_CHANNELS);
    const factor = tf.mul(inverseDeviation(tf, variance, attributes.epsilon), scale!);
    return [tf.add(tf.mul(centred, factor), shift!), mean, variance];
  },
);

/** The formula is the operation's. */
export const batchNormGradientRule = rule(
  batchNormGradientOperation,
  channelsLast,
  ({ tf, attributes, inputShapes }, [x, scale, mean, variance, dy]) => {
    const [n, , height, width] = shape4(inputShapes[0]!);
    const perElement = 1 / (n * height * width);
    const inverse = inverseDeviation(tf, variance!, attributes.epsilon);
    const u = tf.mul(tf.sub(x!, mean!), inverse);
    const dshift = tf.sum(dy!, ALL_BUT_CHANNELS);
    const dscale = tf.sum(tf.mul(dy!, u), ALL_BUT_CHANNELS);
    const inner = tf.sub(tf.sub(dy!, tf.mul(dshift, perElement)), tf.mul(u, tf.mul(dscale, perElement)));
    return [tf.mul(inner, tf.mul(scale!, inverse)), dscale, dshift];
  },
);

export const batchNormInferenceRule = rule(
  batchNormInferenceOperation,
  channelsLast,
  ({ tf, attributes }, [x, scale, shift, mean, variance]) => {
    const factor = tf.mul(inverseDeviation(tf, variance!, attributes.epsilon), scale!);
    return tf.add(tf.mul(tf.sub(x!, mean!), factor), shift!);
  },
);
