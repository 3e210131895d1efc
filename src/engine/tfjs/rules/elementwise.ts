/** Arithmetic with broadcasting, element by element. */
import {
  addOperation,
  affineOperation,
  expOperation,
  mulOperation,
  subOperation,
} from '../../../graph/operations/elementwise.js';
import { fakeQuantizeOperation } from '../../../graph/operations/fakeQuantize.js';
import { asOperands, rule } from '../rule.js';

export const addRule = rule(addOperation, asOperands, ({ tf }, [x, y]) => tf.add(x!, y!));
export const subRule = rule(subOperation, asOperands, ({ tf }, [x, y]) => tf.sub(x!, y!));
export const mulRule = rule(mulOperation, asOperands, ({ tf }, [x, y]) => tf.mul(x!, y!));
export const expRule = rule(expOperation, asOperands, ({ tf }, [x]) => tf.exp(x!));

export const affineRule = rule(affineOperation, asOperands, ({ tf, attributes }, [x]) => {
  const { factor, offset } = attributes;
  const scaled = factor === 1 ? x! : tf.mul(x!, factor);
  return offset === 0 ? scaled : tf.add(scaled, offset);
});

export const fakeQuantizeRule = rule(fakeQuantizeOperation, asOperands, ({ tf, attributes }, [x]) => {
  const { scale, zeroPoint, low, high } = attributes;
  // `tf.round` takes halves to the even integer, as is wanted.
  const steps = tf.clipByValue(tf.round(tf.div(x!, scale)), low - zeroPoint, high - zeroPoint);
  return tf.mul(steps, scale);
});
