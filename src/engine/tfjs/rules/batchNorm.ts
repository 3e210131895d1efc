/** Batch normalisation. Images lie as [N, H, W, C], so that vectors [C] broadcast to them as they are. */
import {
  batchNormGradientOperation,
  batchNormInferenceOperation,
  batchNormOperation,
} from '../../../graph/operations/batchNorm.js';
import { channelsLast, rule } from '../rule.js';
import { shape4 } from '../tensorflow.js';

const ALL_BUT_CHANNELS = [0, 1, 2];

export const batchNormRule = rule(
  batchNormOperation,
  channelsLast,
  ({ tf, attributes }, [x, scale, shift]) => {
    const mean = tf.mean(x!, ALL_BUT_CHANNELS);
    const variance = tf.mean(tf.square(tf.sub(x!, mean)), ALL_BUT_CHANNELS);
    return [tf.batchNorm(x!, mean, variance, shift, scale, attributes.epsilon), mean, variance];
  },
);

/** The operation's formula: dx = a * dy + (b * u + c), the latter a normalisation of x with other scales and shifts. */
export const batchNormGradientRule = rule(
  batchNormGradientOperation,
  channelsLast,
  ({ tf, attributes: { epsilon }, inputShapes }, [x, scale, mean, variance, dy]) => {
    const [n, , height, width] = shape4(inputShapes[0]!);
    const u = tf.batchNorm(x!, mean!, variance!, tf.zerosLike(scale!), tf.onesLike(scale!), epsilon);
    const dshift = tf.sum(dy!, ALL_BUT_CHANNELS);
    const dscale = tf.sum(tf.mul(dy!, u), ALL_BUT_CHANNELS);
    const a = tf.mul(scale!, tf.rsqrt(tf.add(variance!, epsilon)));
    const perElement = tf.mul(a, -1 / (n * height * width));
    const [b, c] = [tf.mul(dscale, perElement), tf.mul(dshift, perElement)];
    return [tf.add(tf.mul(dy!, a), tf.batchNorm(x!, mean!, variance!, c, b, epsilon)), dscale, dshift];
  },
);

export const batchNormInferenceRule = rule(
  batchNormInferenceOperation,
  channelsLast,
  ({ tf, attributes }, [x, scale, shift, mean, variance]) =>
    tf.batchNorm(x!, mean!, variance!, shift, scale, attributes.epsilon),
);
