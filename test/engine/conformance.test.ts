/** Every engine computes what the operations' definitions say: values and gradients, on every case. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../src/engine/engine.js';
import { defaultTarget } from '../../src/engine/onnxruntime/defaultTarget.js';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { referenceEngine } from '../../src/engine/reference.js';
import { createTfjsEngine } from '../../src/engine/tfjs/engine.js';
import { differentiate } from '../../src/graph/differentiate.js';
import { evaluate } from '../../src/graph/evaluate.js';
import { GraphBuilder } from '../../src/graph/graph.js';
import { exp } from '../../src/graph/operations/elementwise.js';
import { createRandom } from '../../src/util/random.js';
import { sizeOf, tensor, type Tensor } from '../../src/util/tensor.js';
import { operationCases } from '../support/operationCases.js';
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

describe.each(engines)('%s', (_name, create) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await create();
  });
  afterAll(() => engine.dispose());

  it.each(operationCases)('$name', async (testCase) => {
    const b = new GraphBuilder();
    const inputs = testCase.inputs.map((shape, i) => b.input(`x${i}`, shape));
    const y = testCase.build(b, inputs);
    const seed = b.input('seed', y.shape);
    b.output('y', y);
    const wanted = inputs.filter((_, i) => !testCase.fixed?.includes(i));
    differentiate(b, [{ value: y, gradient: seed }], wanted).forEach((g, i) => b.output(`d${i}`, g!));
    const graph = b.build();
    const random = createRandom('conformance', testCase.name);
    const feeds: Record<string, Tensor> = {};
    for (const [name, { shape }] of graph.inputs) {
      const positive = testCase.positive?.includes(Number(name.slice(1))) ?? false;
      const data = Float32Array.from({ length: sizeOf(shape) }, () =>
        positive ? 0.5 + random.float() : random.normal(),
      );
      feeds[name] = tensor(shape, data);
    }
    const expected = evaluate(graph, new Map(Object.entries(feeds).map(([name, { data }]) => [name, data])));
    const program = await engine.compile(graph);
    const results = await program.run(feeds);
    for (const [name, { shape, data }] of expected) {
      expect(results[name]!.shape).toEqual(shape);
      expect(results[name]!.data).toBeAllclose(data, { relative: 1e-5, absolute: 1e-6 });
    }
    await program.dispose();
  });
});

it('names the input that is missing or misshapen', async () => {
  const b = new GraphBuilder();
  b.output('y', exp(b, b.input('x', [2, 3])));
  const engine = await createOnnxRuntimeEngine();
  const program = await engine.compile(b.build());
  await expect(program.run({})).rejects.toThrow('input "x" of shape [2, 3] is wanted: it is missing');
  await expect(program.run({ x: tensor([3, 2]) })).rejects.toThrow('its shape is [3, 2]');
});
