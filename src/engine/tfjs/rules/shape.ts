/** What moves elements, and sums over axes. */
import {
  expandOperation,
  padOperation,
  reduceSumOperation,
  reshapeOperation,
  sliceOperation,
  transposeOperation,
} from '../../../graph/operations/shape.js';
import { axisIn, perAxis } from '../layout.js';
import { asOperands, channelsLast, plain, rule } from '../rule.js';

export const reshapeRule = rule(reshapeOperation, plain, ({ tf, attributes }, [x]) =>
  tf.reshape(x!, [...attributes.shape]),
);

export const transposeRule = rule(transposeOperation, plain, ({ tf, attributes }, [x]) =>
  tf.transpose(x!, [...attributes.permutation]),
);

export const sliceRule = rule(sliceOperation, asOperands, ({ tf, attributes, layout }, [x]) =>
  tf.slice(x!, perAxis(attributes.starts, layout), perAxis(attributes.sizes, layout)),
);

export const padRule = rule(padOperation, asOperands, ({ tf, attributes, inputShapes, layout }, [x]) => {
  const { before, shape } = attributes;
  const margins = shape.map((n, i): [number, number] => [before[i]!, n - before[i]! - inputShapes[0]![i]!]);
  return tf.pad(x!, perAxis(margins, layout));
});

export const reduceSumRule = rule(reduceSumOperation, asOperands, ({ tf, attributes, layout }, [x]) => {
  const axes = attributes.axes.map((axis) => axisIn(axis, layout));
  return tf.sum(x!, axes, true);
});

// Images: their small operand is turned, not the large result.
export const expandRule = rule(expandOperation, channelsLast, ({ tf, attributes, layout }, [x]) =>
  tf.broadcastTo(x!, perAxis(attributes.shape, layout)),
);
