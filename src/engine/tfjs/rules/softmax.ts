/** Softmax and its logarithm over the last axis. */
import { logSoftmaxOperation, softmaxOperation } from '../../../graph/operations/softmax.js';
import { plain, rule } from '../rule.js';

export const softmaxRule = rule(softmaxOperation, plain, ({ tf }, [x]) => tf.softmax(x!));
export const logSoftmaxRule = rule(logSoftmaxOperation, plain, ({ tf }, [x]) => tf.logSoftmax(x!));
