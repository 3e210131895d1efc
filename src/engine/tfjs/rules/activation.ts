/** Activations and their gradients. */
import {
  activationGradientOperation,
  activationOperation,
  type ActivationFunction,
} from '../../../graph/operations/activation.js';
import { asOperands, rule } from '../rule.js';
import type { TensorFlow, TfTensor } from '../tensorflow.js';

interface Activation {
  readonly value: (tf: TensorFlow, x: TfTensor) => TfTensor;
  readonly slope: (tf: TensorFlow, x: TfTensor) => TfTensor;
}

/** 1 where a condition holds, else 0. */
const indicator = (tf: TensorFlow, condition: TfTensor): TfTensor => tf.cast(condition, 'float32');

const hardSigmoid = (tf: TensorFlow, x: TfTensor, slope = 1 / 6): TfTensor =>
  tf.clipByValue(tf.add(tf.mul(x, slope), 0.5), 0, 1);

/** Where the hard sigmoid is neither 0 nor 1. */
const betweenKinks = (tf: TensorFlow, x: TfTensor, kink = 3): TfTensor =>
  indicator(tf, tf.less(tf.abs(x), kink));

const activations: Record<ActivationFunction, Activation> = {
  relu: {
    value: (tf, x) => tf.relu(x),
    slope: (tf, x) => indicator(tf, tf.greater(x, 0)),
  },
  relu6: {
    value: (tf, x) => tf.clipByValue(x, 0, 6),
    slope: (tf, x) => indicator(tf, tf.logicalAnd(tf.greater(x, 0), tf.less(x, 6))),
  },
  h_sigmoid: {
    value: (tf, x) => hardSigmoid(tf, x),
    slope: (tf, x) => tf.mul(betweenKinks(tf, x), 1 / 6),
  },
  h_sigmoid_of_double: {
    value: (tf, x) => hardSigmoid(tf, x, 1 / 3),
    slope: (tf, x) => tf.mul(betweenKinks(tf, x, 1.5), 1 / 3),
  },
  h_swish: {
    value: (tf, x) => tf.mul(x, hardSigmoid(tf, x)),
    // x * h'(x) + h(x) with h the hard sigmoid.
    slope: (tf, x) => tf.add(tf.mul(betweenKinks(tf, x), tf.mul(x, 1 / 6)), hardSigmoid(tf, x)),
  },
};

export const activationRule = rule(activationOperation, asOperands, ({ tf, attributes }, [x]) =>
  activations[attributes.function].value(tf, x!),
);

export const activationGradientRule = rule(
  activationGradientOperation,
  asOperands,
  ({ tf, attributes }, [x, dy]) => tf.mul(activations[attributes.function].slope(tf, x!), dy!),
);
