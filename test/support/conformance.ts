/** What engines are held to: every case of every operation as a graph, with inputs and the results by definition. */
import { differentiate } from '../../src/graph/differentiate.js';
import { evaluate } from '../../src/graph/evaluate.js';
import { GraphBuilder, type Graph, type Tensor64 } from '../../src/graph/graph.js';
import { createRandom } from '../../src/util/random.js';
import { sizeOf, tensor, type Tensor } from '../../src/util/tensor.js';
import type { OperationCase } from './operationCases.js';

/**
 * The operation, its gradients, and the gradients of those, also with respect to the gradient that
 * flows in: operations that are gradients are operations like any other.
 */
function graphOf({ inputs: shapes, build, fixed }: OperationCase): Graph {
  const b = new GraphBuilder();
  const inputs = shapes.map((shape, i) => b.input(`x${i}`, shape));
  const y = build(b, inputs);
  b.output('y', y);
  const wanted = inputs.filter((_, i) => fixed?.includes(i) !== true);
  if (wanted.length === 0) return b.build();
  const seed = b.input('seed', y.shape);
  const first = differentiate(b, [{ value: y, gradient: seed }], wanted);
  first.forEach((g, i) => b.output(`d${i}`, g!));
  const seeds = first.map((g, i) => ({ value: g!, gradient: b.input(`seed${i}`, g!.shape) }));
  differentiate(b, seeds, [...wanted, seed]).forEach((g, i) => {
    if (g !== undefined) b.output(`dd${i}`, g);
  });
  return b.build();
}

export interface PreparedCase {
  readonly graph: Graph;
  readonly feeds: Readonly<Record<string, Tensor>>;
  readonly expected: ReadonlyMap<string, Tensor64>;
}
const known = new Map<OperationCase, PreparedCase>();

/** Once for all engines: the oracle is the slowest of them. */
export function prepareCase(testCase: OperationCase): PreparedCase {
  const before = known.get(testCase);
  if (before !== undefined) return before;
  const graph = graphOf(testCase);
  const random = createRandom('conformance', testCase.name);
  const feeds: Record<string, Tensor> = {};
  for (const [name, { shape }] of graph.inputs) {
    const positive = name.startsWith('x') && testCase.positive?.includes(Number(name.slice(1))) === true;
    const data = Float32Array.from({ length: sizeOf(shape) }, () =>
      positive ? 0.5 + random.float() : random.normal(),
    );
    feeds[name] = tensor(shape, data);
  }
  const expected = evaluate(graph, new Map(Object.entries(feeds).map(([name, { data }]) => [name, data])));
  const prepared = { graph, feeds, expected };
  known.set(testCase, prepared);
  return prepared;
}
