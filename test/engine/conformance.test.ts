/** Every engine computes what the operations' definitions say: values and gradients, on every case. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../src/engine/engine.js';
import { defaultTarget } from '../../src/engine/onnxruntime/defaultTarget.js';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { referenceEngine } from '../../src/engine/reference.js';
import { createTfjsEngine } from '../../src/engine/tfjs/engine.js';
import { GraphBuilder } from '../../src/graph/graph.js';
import { exp } from '../../src/graph/operations/elementwise.js';
import { tensor } from '../../src/util/tensor.js';
import { allOperations } from '../support/allOperations.js';
import { prepareCase } from '../support/conformance.js';
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
    const { graph, feeds, expected } = prepareCase(testCase);
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
  const walked = operationCases.flatMap((testCase) => prepareCase(testCase).graph.nodes);
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
