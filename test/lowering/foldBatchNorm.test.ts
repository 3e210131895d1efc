import { describe, expect, it } from 'vitest';
import { evaluate } from '../../src/graph/evaluate.js';
import { GraphBuilder, type Graph, type Value } from '../../src/graph/graph.js';
import { inferenceGraph } from '../../src/graph/network.js';
import { activation } from '../../src/graph/operations/activation.js';
import { batchNormInferenceOperation } from '../../src/graph/operations/batchNorm.js';
import { conv2d } from '../../src/graph/operations/conv.js';
import { add } from '../../src/graph/operations/elementwise.js';
import { foldBatchNorm } from '../../src/lowering/passes/foldBatchNorm.js';
import { extractSubnet, staticNetwork } from '../../src/supernet/subnet.js';
import type { Shape } from '../../src/util/tensor.js';
import { disturbedWeights, randomTensor } from '../support/supernets.js';
import { tinySpace } from '../training/support/runs.js';
import '../support/matchers.js';

const X: Shape = [2, 4, 5, 5];
const input = new Map([['x', randomTensor(X, 'x').data]]);

function constant(b: GraphBuilder, name: string, shape: Shape, positive = false): Value {
  const { data } = randomTensor(shape, name);
  return b.constant(name, shape, positive ? data.map((v) => 0.2 + Math.abs(v)) : data);
}

function norm(b: GraphBuilder, x: Value, name = 'norm', epsilon = 1e-3): Value {
  const vector = (suffix: string): Value =>
    constant(b, `${name}.${suffix}`, [x.shape[1]!], suffix === 'variance');
  const parameters = ['scale', 'shift', 'mean', 'variance'].map(vector);
  return b.one(batchNormInferenceOperation, { epsilon }, x, ...parameters);
}

/** A graph x -> y. */
function graphOf(body: (b: GraphBuilder, x: Value) => Value): Graph {
  const b = new GraphBuilder();
  b.output('y', body(b, b.input('x', X)));
  return b.build();
}

const kinds = ({ nodes }: Graph): string[] => nodes.map(({ operation }) => operation.name);
const run = (graph: Graph, inputs = input) => [...evaluate(graph, inputs).values()].map(({ data }) => data);

function expectSame(folded: Graph, graph: Graph, inputs = input): void {
  const expected = run(graph, inputs);
  // Folded weights are rounded to float32.
  run(folded, inputs).forEach((data, i) => expect(data).toBeAllclose(expected[i]!, { relative: 1e-6 }));
}

describe('folds', () => {
  it.each([
    { name: 'an ordinary convolution', groups: 1, bias: false, stride: 1 },
    { name: 'one with bias and stride', groups: 1, bias: true, stride: 2 },
    { name: 'a depthwise one', groups: 4, bias: false, stride: 1 },
    { name: 'a grouped one with bias', groups: 2, bias: true, stride: 1 },
  ])('$name', ({ groups, bias, stride }) => {
    const graph = graphOf((b, x) => {
      const w = constant(b, 'conv.weight', [8, 4 / groups, 3, 3]);
      const offset = bias ? constant(b, 'conv.bias', [8]) : undefined;
      return activation(b, norm(b, conv2d(b, x, w, { stride, padding: 1, groups }, offset)), 'relu');
    });
    const folded = foldBatchNorm(graph);
    expect(kinds(graph)).toHaveLength(3);
    expect(kinds(folded)).toEqual(['conv2d', kinds(graph)[2]]);
    expectSame(folded, graph);
  });

  it('only the first of two batch norms in a row', () => {
    const graph = graphOf((b, x) => {
      const y = conv2d(b, x, constant(b, 'w', [4, 4, 1, 1]), { stride: 1, padding: 0, groups: 1 });
      return norm(b, norm(b, y, 'first'), 'second');
    });
    const folded = foldBatchNorm(graph);
    expect(kinds(folded)).toEqual(['conv2d', 'batchNormInference']);
    expectSame(folded, graph);
  });

  it('each of two convolutions that share a weight with factors of its own', () => {
    const graph = graphOf((b, x) => {
      const w = constant(b, 'w', [4, 4, 1, 1]);
      const attributes = { stride: 1, padding: 0, groups: 1 };
      const y = norm(b, conv2d(b, x, w, attributes), 'first');
      return norm(b, conv2d(b, activation(b, y, 'relu'), w, attributes), 'second');
    });
    const folded = foldBatchNorm(graph);
    expect(kinds(folded).filter((kind) => kind === 'batchNormInference')).toEqual([]);
    expect(folded.constants.size).toBe(4);
    expectSame(folded, graph);
  });

  it('every batch norm of a network', () => {
    const space = tinySpace();
    const network = space.network({ ...space.largest, imageSize: 8 });
    const tensors = extractSubnet(disturbedWeights(space, 'fold'), network);
    const graph = inferenceGraph(staticNetwork(network).blocks, tensors, 2);
    const folded = foldBatchNorm(graph);
    expect(kinds(graph)).toContain('batchNormInference');
    expect(kinds(folded)).not.toContain('batchNormInference');
    expectSame(folded, graph, new Map([['input', randomTensor([2, 1, 8, 8], 'image').data]]));
  });
});

it('keeps the scope of the convolution for the folded pair', () => {
  const graph = graphOf((b, x) =>
    b.scope('block', () => {
      const w = constant(b, 'conv.weight', [4, 4, 1, 1]);
      const y = b.scope('conv', () => conv2d(b, x, w, { stride: 1, padding: 0, groups: 1 }));
      return b.scope('norm', () => norm(b, y));
    }),
  );
  const { nodes, constants } = foldBatchNorm(graph);
  expect(nodes.map(({ name }) => name)).toEqual(['block/conv/conv2d']);
  expect([...constants.values()].map(({ name }) => name)).toEqual(['conv.weight', 'conv.bias']);
});

describe('leaves alone', () => {
  const attributes = { stride: 1, padding: 0, groups: 1 };

  it('a convolution whose result is used twice', () => {
    const graph = graphOf((b, x) => {
      const y = conv2d(b, x, constant(b, 'w', [4, 4, 1, 1]), attributes);
      return add(b, norm(b, y), y);
    });
    const folded = foldBatchNorm(graph);
    expect(kinds(folded)).toEqual(kinds(graph));
    expectSame(folded, graph);
  });

  it('a convolution whose result is an output', () => {
    const b = new GraphBuilder();
    const y = conv2d(b, b.input('x', X), constant(b, 'w', [4, 4, 1, 1]), attributes);
    b.output('conv', y);
    b.output('norm', norm(b, y));
    const graph = b.build();
    expect(kinds(foldBatchNorm(graph))).toEqual(['conv2d', 'batchNormInference']);
    expectSame(foldBatchNorm(graph), graph);
  });

  it('a convolution with weights given at run time', () => {
    const b = new GraphBuilder();
    const w = b.input('w', [4, 4, 1, 1]);
    b.output('y', norm(b, conv2d(b, b.input('x', X), w, attributes)));
    const graph = b.build();
    expect(kinds(foldBatchNorm(graph))).toEqual(['conv2d', 'batchNormInference']);
    expectSame(foldBatchNorm(graph), graph, new Map([...input, ['w', randomTensor([4, 4, 1, 1], 'w').data]]));
  });

  it('a batch norm after something else', () => {
    const graph = graphOf((b, x) => norm(b, activation(b, x, 'relu')));
    expect(kinds(foldBatchNorm(graph))).toEqual(kinds(graph));
    expectSame(foldBatchNorm(graph), graph);
  });
});
