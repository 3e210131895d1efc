/**
 * What networks are trained to. `squared`: targets themselves. `hinge` and `logistic`: only their order, over all pairs of
 * a batch, as a search needs no more:
 *
 *     hinge     mean over pairs with t_i > t_j of max(0, margin - (s_i - s_j))
 *     logistic  mean over pairs with t_i > t_j of log(1 + exp(-(s_i - s_j)))
 *
 * Hinge: Ning et al., "A generic graph-based neural architecture encoding scheme for predictor-based NAS" (ECCV 2020), 3.3,
 * with its margin. Logistic: Burges et al., "Learning to rank using gradient descent" (ICML 2005), 3.
 */
import type { Tensors } from '../../engine/engine.js';
import type { GraphBuilder, Value } from '../../graph/graph.js';
import { activation } from '../../graph/operations/activation.js';
import { affine, mul, sub } from '../../graph/operations/elementwise.js';
import { matmul } from '../../graph/operations/matmul.js';
import { reduceSum, reshape } from '../../graph/operations/shape.js';
import { logSoftmax } from '../../graph/operations/softmax.js';
import { tensor } from '../../util/tensor.js';
import type { Loss } from '../predictor.js';

const MARGIN = 0.1;

/** Appends the loss, of shape [1], of scores [batch, 1]; adds the input that `lossInputs` gives. */
export function appendLoss(b: GraphBuilder, loss: Loss, scores: Value): Value {
  const batch = scores.shape[0]!;
  if (loss === 'squared') {
    const error = sub(b, scores, b.input('target', [batch, 1]));
    return reshape(b, affine(b, reduceSum(b, mul(b, error, error), [0, 1]), 1 / batch), [1]);
  }
  const weights = b.input('pairs', [batch, batch]);
  const difference = sub(b, scores, reshape(b, scores, [1, batch]));
  const penalties =
    loss === 'hinge'
      ? activation(b, affine(b, difference, -1, MARGIN), 'relu')
      : softplusOfMinus(b, difference);
  return reshape(b, reduceSum(b, mul(b, weights, penalties), [0, 1]), [1]);
}

/** log(1 + exp(-x)), which is -log of the first of softmax([x, 0]). */
function softplusOfMinus(b: GraphBuilder, x: Value): Value {
  const count = x.shape.reduce((product, n) => product * n, 1);
  const beforeZero = b.constant('beforeZero', [1, 2], Float32Array.of(1, 0));
  const first = b.constant('first', [2, 1], Float32Array.of(-1, 0));
  const logits = matmul(b, reshape(b, x, [count, 1]), beforeZero);
  return reshape(b, matmul(b, logSoftmax(b, logits), first), x.shape);
}

/** Of one batch. All pairs that `pairs` gives a weight count the same; where all targets are equal there is none. */
export function lossInputs(loss: Loss, targets: Float32Array): Tensors {
  const batch = targets.length;
  if (loss === 'squared') return { target: tensor([batch, 1], targets) };
  const pairs = new Float32Array(batch * batch);
  let count = 0;
  for (let i = 0; i < batch; i++) {
    for (let j = 0; j < batch; j++) {
      if (targets[i]! <= targets[j]!) continue;
      pairs[i * batch + j] = 1;
      count++;
    }
  }
  if (count > 0) for (let i = 0; i < pairs.length; i++) pairs[i]! /= count;
  return { pairs: tensor([batch, batch], pairs) };
}
