/** Inference forms: the same numbers, and the forms that were wanted. */
import { describe, expect, it } from 'vitest';
import { evaluate } from '../../src/graph/evaluate.js';
import { GraphBuilder, type Value } from '../../src/graph/graph.js';
import { activation } from '../../src/graph/operations/activation.js';
import { addBias, mul } from '../../src/graph/operations/elementwise.js';
import { matmul } from '../../src/graph/operations/matmul.js';
import { asImage, globalAveragePool } from '../../src/graph/operations/pool.js';
import { inferenceForms } from '../../src/lowering/passes/inferenceForms.js';
import { createRandom } from '../../src/util/random.js';
import { sizeOf } from '../../src/util/tensor.js';
import '../support/matchers.js';

const random = createRandom('inference forms');
const numbers = (shape: readonly number[]): Float32Array =>
  Float32Array.from({ length: sizeOf(shape) }, () => random.normal());

/** Runs a graph of `x` [2, 3, 4, 5], before and after; the names of the operations after. */
function check(
  build: (b: GraphBuilder, x: Value, constant: (...shape: number[]) => Value) => Value,
): string[] {
  const b = new GraphBuilder();
  const x = b.input('x', [2, 3, 4, 5]);
  let count = 0;
  b.output(
    'y',
    build(b, x, (...shape) => b.constant(`c${count++}`, shape, numbers(shape))),
  );
  const before = b.build();
  const after = inferenceForms(before);
  const feeds = new Map([['x', numbers(x.shape)]]);
  const expected = evaluate(before, feeds).get('y')!;
  const result = evaluate(after, feeds).get('y')!;
  expect(result.shape).toEqual(expected.shape);
  expect(result.data).toBeAllclose(expected.data, { relative: 1e-12, absolute: 0 });
  return after.nodes.map(({ operation }) => operation.name);
}

describe('inferenceForms', () => {
  it('makes squeeze-excite convolutions from end to end', () => {
    const names = check((b, x, c) => {
      const reduced = addBias(b, matmul(b, globalAveragePool(b, x), c(2, 3), false, true), c(2));
      const expanded = matmul(b, activation(b, reduced, 'relu'), c(3, 2), false, true);
      return mul(b, x, asImage(b, activation(b, addBias(b, expanded, c(3)), 'h_sigmoid')));
    });
    expect(names).toEqual(['globalAverageImage', 'conv2d', 'activation', 'conv2d', 'activation', 'mul']);
  });

  it('joins a dense layer with its bias', () => {
    const names = check((b, x, c) =>
      addBias(b, matmul(b, globalAveragePool(b, x), c(7, 3), false, true), c(7)),
    );
    expect(names).toEqual(['globalAveragePool', 'dense']);
  });

  it('keeps a product that something else needs as well', () => {
    const names = check((b, x, c) => {
      const product = matmul(b, globalAveragePool(b, x), c(7, 3), false, true);
      return mul(b, addBias(b, product, c(7)), product);
    });
    expect(names.sort()).toEqual(['dense', 'globalAveragePool', 'matmul', 'mul']);
  });

  it('leaves what is no dense layer: computed or transposed weights, a bias of one number', () => {
    const names = check((b, x, c) => {
      const pooled = globalAveragePool(b, x);
      const weight = matmul(b, c(5, 4), c(4, 3));
      const first = addBias(b, matmul(b, pooled, weight, false, true), c(5));
      return addBias(b, matmul(b, first, c(5, 6)), c(1));
    });
    expect(names).toEqual(['globalAveragePool', 'matmul', 'matmul', 'add', 'matmul', 'add']);
  });

  it('makes an image of anything else by a reshape', () => {
    const names = check((b, x, c) => {
      const pooled = globalAveragePool(b, x);
      return mul(b, x, asImage(b, mul(b, pooled, c(3))));
    });
    expect(names).toEqual(['globalAveragePool', 'mul', 'reshape', 'mul']);
  });
});
