/** Programs on TensorFlow.js: what they hold, whose memory they hand out, how images lie. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../../src/engine/engine.js';
import { createTfjsEngine } from '../../../src/engine/tfjs/engine.js';
import { loadTensorFlow } from '../../../src/engine/tfjs/load.js';
import { planGraph } from '../../../src/engine/tfjs/plan.js';
import type { TensorFlow } from '../../../src/engine/tfjs/tensorflow.js';
import { GraphBuilder, type Graph, type Value } from '../../../src/graph/graph.js';
import { backwardGraph, forwardGraph } from '../../../src/graph/network.js';
import { add, exp } from '../../../src/graph/operations/elementwise.js';
import { reshape, slice } from '../../../src/graph/operations/shape.js';
import { tensor, type Tensor } from '../../../src/util/tensor.js';
import { smallSpace, tinyResnet } from '../../support/spaces.js';
import { randomTensor } from '../../support/supernets.js';

let tf: TensorFlow;
let engine: Engine;
beforeAll(async () => {
  ({ tf } = await loadTensorFlow());
  engine = await createTfjsEngine();
});

const feedsOf = (graph: Graph): Record<string, Tensor> =>
  Object.fromEntries([...graph.inputs].map(([name, { shape }]) => [name, randomTensor(shape, name)]));

/** Training steps of whole networks, and what evaluation runs. */
const networks: readonly (readonly [string, () => Graph])[] = (
  [
    ['mobile blocks', smallSpace()],
    ['bottlenecks', tinyResnet()],
  ] as const
).flatMap(([name, space]) => {
  const { blocks } = space.network(space.smallest);
  return [
    [`${name}, a training step`, () => backwardGraph(blocks, 2, { loss: true, inputGradient: false })],
    [`${name}, calibration`, () => forwardGraph(blocks, 2, 'calibration')],
  ];
});

describe('memory', () => {
  it.each(networks)('holds nothing from run to run: %s', async (_name, build) => {
    const before = tf.memory();
    const graph = build();
    const program = await engine.compile(graph);
    const compiled = tf.memory().numTensors;
    expect(compiled - before.numTensors).toBe(graph.constants.size);
    const feeds = feedsOf(graph);
    for (let i = 0; i < 3; i++) {
      await program.run(feeds);
      expect(tf.memory().numTensors).toBe(compiled);
    }
    await program.dispose();
    const { numTensors, numDataBuffers, numBytes } = before;
    expect(tf.memory()).toMatchObject({ numTensors, numDataBuffers, numBytes });
  });

  it('holds nothing of a run that fails', async () => {
    const b = new GraphBuilder();
    b.output('z', add(b, exp(b, b.input('x', [4])), b.input('y', [4])));
    const program = await engine.compile(b.build());
    const { numTensors } = tf.memory();
    await expect(program.run({ x: tensor([4]) })).rejects.toThrow(TypeError);
    expect(tf.memory().numTensors).toBe(numTensors);
    await program.dispose();
  });

  it.each(networks)('lets go of each tensor after its last use: %s', (_name, build) => {
    const graph = build();
    const steps = planGraph(graph);
    const outputs = new Set(graph.outputs.values());
    const gone = new Set<Value>();
    for (const { node, finished } of steps) {
      for (const value of [...node.inputs, ...node.outputs]) expect(gone.has(value)).toBe(false);
      for (const value of finished) {
        expect(outputs.has(value) || graph.constants.has(value)).toBe(false);
        gone.add(value);
      }
    }
    const made = new Set(steps.flatMap(({ node }) => [...node.inputs, ...node.outputs]));
    const kept = [...made].filter((value) => !gone.has(value));
    expect(kept.every((value) => outputs.has(value) || graph.constants.has(value))).toBe(true);
  });
});

it('hands out memory of its own', async () => {
  const b = new GraphBuilder();
  const x = b.input('x', [2, 3]);
  const constant = b.constant('constant', [2], Float32Array.of(7, 8));
  b.output('same', x);
  b.output('reshaped', reshape(b, x, [6]));
  b.output('part', slice(b, x, [1, 0], [1, 3]));
  b.output('constant', constant);
  const e = exp(b, x);
  b.output('computed', e);
  b.output('again', e);
  b.output('part of it', slice(b, e, [0, 0], [1, 3]));
  const program = await engine.compile(b.build());
  const given = tensor([2, 3], Float32Array.of(1, 2, 3, 4, 5, 6));
  const run = () => program.run({ x: given });
  const first = await run();
  const wanted = Object.fromEntries(Object.entries(first).map(([name, { data }]) => [name, [...data]]));
  const buffers = Object.values(first).map(({ data }) => data.buffer);
  expect(new Set([...buffers, given.data.buffer]).size).toBe(buffers.length + 1);
  for (const { data } of Object.values(first)) data.fill(0);
  expect([...given.data]).toEqual([1, 2, 3, 4, 5, 6]);
  const second = await run();
  expect(Object.fromEntries(Object.entries(second).map(([name, { data }]) => [name, [...data]]))).toEqual(
    wanted,
  );
  await program.dispose();
});

describe('layout', () => {
  /** Values that a step wants in another layout than they were made in. */
  function turned(graph: Graph): Value[] {
    const made = new Map<Value, string>();
    const found: Value[] = [];
    for (const { inputs, outputs } of planGraph(graph)) {
      for (const { value, layout } of inputs) if ((made.get(value) ?? 'plain') !== layout) found.push(value);
      for (const { value, layout } of outputs) made.set(value, layout);
    }
    return [...new Set(found)];
  }

  it.each(networks)(
    'turns images where a graph begins, and nothing but single pixels later: %s',
    (_name, build) => {
      const graph = build();
      const inputs = new Set(graph.inputs.values());
      const later = turned(graph).filter((value) => !inputs.has(value));
      expect(later.filter(({ shape }) => shape[2]! * shape[3]! > 1)).toEqual([]);
    },
  );
});

it('refuses an operation that it has no rule for', async () => {
  const b = new GraphBuilder();
  const unknown = {
    name: 'unheardOf',
    shape: () => [[1]],
    gradient: () => [],
    onnx: () => undefined,
    evaluate: () => [Float64Array.of(0)],
  };
  b.output('y', b.one(unknown, {}, b.input('x', [1])));
  await expect(engine.compile(b.build())).rejects.toThrow(
    'every operation must have a rule: "unheardOf" has none',
  );
});
