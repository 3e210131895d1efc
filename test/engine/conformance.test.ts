/** Every engine computes what the operations' definitions say: values and gradients, on every case. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../src/engine/engine.js';
import { defaultTarget } from '../../src/engine/onnxruntime/defaultTarget.js';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { referenceEngine } from '../../src/engine/reference.js';
import { createTfjsEngine } from '../../src/engine/tfjs/engine.js';
import { differentiate } from '../../src/graph/differentiate.js';
import { evaluate } from '../../src/graph/evaluate.js';
import { GraphBuilder, type Graph, type Tensor64 } from '../../src/graph/graph.js';
import { exp } from '../../src/graph/operations/elementwise.js';
import { createRandom } from '../../src/util/random.js';
import { sizeOf, tensor, type Tensor } from '../../src/util/tensor.js';
import { allOperations } from '../support/allOperations.js';
import { operationCases, type OperationCase } from '../support/operationCases.js';
import '../support/matchers.js';

const engines: readonly (readonly [string, () => Promise<Engine>])[] = [
  ['reference', () => Promise.resolve(referenceEngine)],
  ['onnxruntime, plain operators', () => createOnnxRuntimeEngine({ threads: 2 })],
  [
    'onnxruntime, the default target',
    async () => createOnnxRuntimeEngine({ threads: 2, target: await defaultTarget() }),
  ],
  ['TensorFlow.js', () => createTfjsEngine()],
];

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

interface Prepared {
  readonly graph: Graph;
  readonly feeds: Readonly<Record<string, Tensor>>;
  readonly expected: ReadonlyMap<string, Tensor64>;
}
const known = new Map<OperationCase, Prepared>();

/** Once for all engines: the oracle is the slowest of them. */
function prepare(testCase: OperationCase): Prepared {
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

describe.each(engines)('%s', (_name, create) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await create();
  });
  afterAll(() => engine.dispose());

  it.each(operationCases)('$name', async (testCase) => {
    const { graph, feeds, expected } = prepare(testCase);
    const program = await engine.compile(graph);
    const results = await program.run(feeds);
    for (const [name, { shape, data }] of expected) {
      expect(results[name]!.shape, name).toEqual(shape);
      expect(results[name]!.data, name).toBeAllclose(data, { relative: 1e-5, absolute: 1e-6 });
    }
    await program.dispose();
  });
});

it('walks through every operation', async () => {
  const walked = operationCases.flatMap((testCase) => prepare(testCase).graph.nodes);
  expect(new Set(walked.map(({ operation }) => operation))).toEqual(new Set(await allOperations()));
});

describe.each(engines.slice(1))('%s', (_name, create) => {
  it('names the input that is missing or misshapen', async () => {
    const b = new GraphBuilder();
    b.output('y', exp(b, b.input('x', [2, 3])));
    const engine = await create();
    const program = await engine.compile(b.build());
    await expect(program.run({})).rejects.toThrow('input "x" of shape [2, 3] is wanted: it is missing');
    await expect(program.run({ x: tensor([3, 2]) })).rejects.toThrow('its shape is [3, 2]');
  });
});
