/** Convolution and its two gradients, each by the form that fits its shape. */
import {
  convInputGradientOperation,
  convOperation,
  convWeightGradientOperation,
  type ConvAttributes,
} from '../../../../graph/operations/conv.js';
import type { Shape } from '../../../../util/tensor.js';
import { fixed, rule } from '../../rule.js';
import { rank4, shape4, type Shape4, type TensorFlow } from '../../tensorflow.js';
import { addMargin, removeMargin, type Margin } from '../margin.js';
import { dense } from './dense.js';
import { denseInScript } from './denseInScript.js';
import { depthwise } from './depthwise.js';
import { depthwiseInScript } from './depthwiseInScript.js';
import type { ConvForm } from './form.js';
import { grouped } from './grouped.js';
import { pointwise } from './pointwise.js';

/** `weightShape`: [O, C / groups, k, k]. */
function formOf(tf: TensorFlow, { stride, groups }: ConvAttributes, [, perGroup, kernel]: Shape): ConvForm {
  const inScript = tf.getBackend() === 'cpu';
  if (groups > 1 && perGroup === 1) return inScript ? depthwiseInScript : depthwise;
  const whole = inScript ? denseInScript : dense;
  const form = kernel === 1 && stride === 1 ? pointwise : whole;
  return groups === 1 ? form : grouped(form, groups);
}

const marginOf = ({ padding }: ConvAttributes): Margin => ({
  top: padding,
  left: padding,
  bottom: padding,
  right: padding,
});

export const convRule = rule(
  convOperation,
  fixed(['channelsLast', 'plain', 'plain'], 'channelsLast'),
  ({ tf, attributes, inputShapes }, [x, w, bias]) => {
    const image = addMargin(tf, rank4(x!), marginOf(attributes));
    const y = formOf(tf, attributes, inputShapes[1]!).forward(tf, image, rank4(w!), attributes.stride);
    return bias === undefined ? y : tf.add(y, bias);
  },
);

export const convInputGradientRule = rule(
  convInputGradientOperation,
  fixed(['channelsLast', 'plain'], 'channelsLast'),
  ({ tf, attributes, inputShapes }, [dy, w]) => {
    const { padding, stride, inputShape } = attributes;
    const [n, c, height, width] = shape4(inputShape);
    const shape: Shape4 = [n, height + 2 * padding, width + 2 * padding, c];
    const form = formOf(tf, attributes, inputShapes[1]!);
    const dx = form.inputGradient(tf, rank4(dy!), rank4(w!), stride, shape);
    return removeMargin(tf, dx, marginOf(attributes));
  },
);

export const convWeightGradientRule = rule(
  convWeightGradientOperation,
  fixed(['channelsLast', 'channelsLast'], 'plain'),
  ({ tf, attributes }, [x, dy]) => {
    const { stride, weightShape } = attributes;
    const image = addMargin(tf, rank4(x!), marginOf(attributes));
    const shape = shape4(weightShape);
    return formOf(tf, attributes, shape).weightGradient(tf, image, rank4(dy!), stride, shape);
  },
);
