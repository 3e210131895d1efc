/** Reading rules of activations, arithmetic and softmax. */
import type { GraphBuilder, Value } from '../../graph/graph.js';
import { activation, type ActivationFunction } from '../../graph/operations/activation.js';
import { add, exp, mul, sub } from '../../graph/operations/elementwise.js';
import { logSoftmax, softmax } from '../../graph/operations/softmax.js';
import type { ReadingCall, ReadingRule } from './call.js';

const plain = (fn: ActivationFunction): ReadingRule => ({
  attributes: [],
  inputs: [1, 1],
  read: (call) => ({ value: activation(call.b, call.value(0), fn) }),
});

const clip: ReadingRule = {
  attributes: [],
  inputs: [1, 3],
  read: (call) => {
    const low = call.has(1) ? call.scalar(1, 'the lower limit') : -Infinity;
    const high = call.has(2) ? call.scalar(2, 'the upper limit') : Infinity;
    if (low !== 0 || (high !== 6 && high !== Infinity))
      throw call.fail(`limits must be 0 and 6, or 0 and none: they are ${low} and ${high}`);
    return { value: activation(call.b, call.value(0), high === 6 ? 'relu6' : 'relu') };
  },
};

const hardSigmoid: ReadingRule = {
  attributes: ['alpha', 'beta'],
  inputs: [1, 1],
  read: (call) => {
    call.requireFloat('beta', 0.5);
    // Files of before have 1/6 in gates, too.
    const doubled = call.float('alpha', 0.2) === Math.fround(1 / 3);
    if (!doubled) call.requireFloat('alpha', 1 / 6, 0.2);
    return { value: activation(call.b, call.value(0), doubled ? 'h_sigmoid_of_double' : 'h_sigmoid') };
  },
};

const binary = (apply: (b: GraphBuilder, x: Value, y: Value) => Value): ReadingRule => ({
  attributes: [],
  inputs: [2, 2],
  read: (call) => ({ value: apply(call.b, call.value(0), call.value(1)) }),
});

const unary = (apply: (b: GraphBuilder, x: Value) => Value): ReadingRule => ({
  attributes: [],
  inputs: [1, 1],
  read: (call) => ({ value: apply(call.b, call.value(0)) }),
});

function overLastAxis(apply: (b: GraphBuilder, x: Value) => Value): ReadingRule {
  return {
    attributes: ['axis'],
    inputs: [1, 1],
    read: (call: ReadingCall) => {
      const x = call.value(0);
      const axis = call.int('axis', -1);
      if (x.shape.length === 0 || (axis !== -1 && axis !== x.shape.length - 1))
        throw call.fail(`axis must be the last: it is ${axis}`);
      return { value: apply(call.b, x) };
    },
  };
}

export const elementwiseRules: Readonly<Record<string, ReadingRule>> = {
  Relu: plain('relu'),
  HardSwish: plain('h_swish'),
  HardSigmoid: hardSigmoid,
  Clip: clip,
  Add: binary(add),
  Sub: binary(sub),
  Mul: binary(mul),
  Exp: unary(exp),
  Softmax: overLastAxis(softmax),
  LogSoftmax: overLastAxis(logSoftmax),
};
