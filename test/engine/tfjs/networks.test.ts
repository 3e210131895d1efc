/** Training steps of networks of every space that ships: what ONNX Runtime computes, TensorFlow.js computes. */
import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Engine } from '../../../src/engine/engine.js';
import { createOnnxRuntimeEngine } from '../../../src/engine/onnxruntime/engine.js';
import { createTfjsEngine } from '../../../src/engine/tfjs/engine.js';
import type { Graph } from '../../../src/graph/graph.js';
import { backwardGraph, GRADIENT } from '../../../src/graph/network.js';
import { createRandom } from '../../../src/util/random.js';
import { packagePath } from '../../../src/util/scripts.js';
import { sizeOf, tensor, type Tensor } from '../../../src/util/tensor.js';
import { randomArchitecture } from '../../export/spaces.js';
import { shippedSpace } from '../../support/spaces.js';
import '../../support/matchers.js';

let onnxRuntime: Engine;
let tensorFlow: Engine;
beforeAll(async () => {
  onnxRuntime = await createOnnxRuntimeEngine({ threads: 2, optimization: 'basic' });
  tensorFlow = await createTfjsEngine();
});
afterAll(async () => {
  await onnxRuntime.dispose();
  await tensorFlow.dispose();
});

/** Images and targets, weights that keep activations of one size, scales near 1. */
function feedsOf(graph: Graph, seed: string): Record<string, Tensor> {
  const random = createRandom('step', seed);
  return Object.fromEntries(
    [...graph.inputs].map(([name, { shape }]) => {
      const isData = ['x', 'targets'].includes(name) || name.endsWith('.mask');
      const fanIn = shape.length > 1 && !isData ? sizeOf(shape.slice(1)) : 1;
      const [offset, spread] =
        shape.length === 1 ? [Number(name.endsWith('weight')), 0.1] : [0, Math.sqrt(2 / fanIn)];
      const data = Float32Array.from({ length: sizeOf(shape) }, () => offset + spread * random.normal());
      return [name, tensor(shape, data)];
    }),
  );
}

async function run(engine: Engine, graph: Graph, feeds: Record<string, Tensor>) {
  const program = await engine.compile(graph);
  const results = await program.run(feeds);
  await program.dispose();
  return results;
}

/** Root of the mean square. */
const size = (data: Float32Array): number => Math.sqrt(data.reduce((sum, v) => sum + v * v, 0) / data.length);

it.each(readdirSync(packagePath('supernets')))('%s', async (name) => {
  // Every stride meets an odd number of pixels somewhere.
  const imageSizes = [name.startsWith('ofa') ? 50 : 27];
  const space = shippedSpace(name, { imageSizes, classes: 10, width: 0.25 });
  const { blocks } = space.network(randomArchitecture(space, createRandom('architecture', name)));
  const graph = backwardGraph(blocks, 3, { loss: true, inputGradient: true });
  const feeds = feedsOf(graph, name);
  const expected = await run(onnxRuntime, graph, feeds);
  const actual = await run(tensorFlow, graph, feeds);
  const gradients = Object.keys(expected).filter((output) => output.startsWith(GRADIENT));
  const largest = Math.max(...gradients.map((output) => size(expected[output]!.data)));
  expect(largest).toBeGreaterThan(0.1);
  for (const [output, { data }] of Object.entries(expected)) {
    if (gradients.includes(output)) {
      // An element that rounds to the other side of a kink, or a maximum that moves, changes gradients: by up to 1 % of a
      // tensor. What a batch norm behind it takes back, a shift for one, has a gradient of rounding errors alone.
      const error = size(data.map((v, i) => v - actual[output]!.data[i]!));
      expect(error, output).toBeLessThan(0.05 * (size(data) + 1e-4 * largest));
    } else expect(actual[output]!.data, output).toBeAllclose(data, { relative: 2e-4, absolute: 1e-6 });
  }
});
