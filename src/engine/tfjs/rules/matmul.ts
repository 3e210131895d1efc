/** Matrix products. */
import { denseOperation, matmulOperation } from '../../../graph/operations/matmul.js';
import { plain, rule } from '../rule.js';

export const matmulRule = rule(matmulOperation, plain, ({ tf, attributes }, [a, b]) =>
  tf.matMul(a!, b!, attributes.transposeA, attributes.transposeB),
);

export const denseRule = rule(denseOperation, plain, ({ tf }, [x, w, bias]) =>
  tf.add(tf.matMul(x!, w!, false, true), bias!),
);
