/** Whole training steps by the blocked lowering are those of plain operators, and plain operators are the fallback. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../src/engine/engine.js';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { probeBlocked } from '../../src/engine/onnxruntime/probe.js';
import { loadRuntime } from '../../src/engine/onnxruntime/runtime.js';
import { evaluate } from '../../src/graph/evaluate.js';
import { differentiate } from '../../src/graph/differentiate.js';
import { GraphBuilder, type Graph } from '../../src/graph/graph.js';
import { backwardGraph, forwardGraph } from '../../src/graph/network.js';
import { batchNorm } from '../../src/graph/operations/batchNorm.js';
import { createNchwcTarget } from '../../src/lowering/nchwc/target.js';
import { onnxTarget } from '../../src/lowering/onnx.js';
import { onnx } from '../../src/lowering/onnxProto.js';
import type { LoweringTarget } from '../../src/lowering/target.js';
import { sampleArchitecture } from '../../src/space/sampling.js';
import { createRandom, type Random } from '../../src/util/random.js';
import { sizeOf, tensor, type Tensor } from '../../src/util/tensor.js';
import { shippedSpace } from '../support/spaces.js';
import '../support/matchers.js';

/** Weights as large as initial ones, so that signals neither die nor explode; scales around 1. */
function feedsOf(graph: Graph, random: Random): Record<string, Tensor> {
  return Object.fromEntries(
    [...graph.inputs].map(([name, { shape }]) => {
      const fanIn = shape.length > 1 && name !== 'x' ? sizeOf(shape.slice(1)) : 1;
      const offset = shape.length === 1 && name.endsWith('weight') ? 1 : 0;
      const spread = shape.length === 1 ? 0.1 : Math.sqrt((name === 'x' ? 1 : 2) / fanIn);
      const data = Float32Array.from({ length: sizeOf(shape) }, () => offset + spread * random.normal());
      return [name, tensor(shape, data)];
    }),
  );
}

async function run(
  target: LoweringTarget,
  graph: Graph,
  feeds: Record<string, Tensor>,
): Promise<Record<string, Tensor>> {
  const engine = await createOnnxRuntimeEngine({ threads: 2, target, optimization: 'basic' });
  const program = await engine.compile(graph);
  const results = await program.run(feeds);
  await program.dispose();
  return results;
}

const probe = await probeBlocked(await loadRuntime());
const blocked = 'target' in probe ? probe.target : undefined;

describe.skipIf(blocked === undefined)('the blocked lowering', () => {
  it.each([
    ['mbv3-tiny', 28, 8],
    ['mbv3-cifar', 24, 4],
    ['ofa-mbv3', 64, 3],
  ] as const)('trains a subnet of %s at %i as plain operators do', async (name, size, batch) => {
    const space = shippedSpace(name, { imageSizes: [size], classes: 10 });
    const random = createRandom('step', name);
    const network = space.network(sampleArchitecture(space.genes, random));
    for (const graph of [
      backwardGraph(network.blocks, batch, { loss: true, inputGradient: true }),
      forwardGraph(network.blocks, batch, 'calibration'),
    ]) {
      const feeds = feedsOf(graph, random);
      const expected = await run(onnxTarget, graph, feeds);
      const actual = await run(blocked!, graph, feeds);
      for (const [output, { shape, data }] of Object.entries(expected)) {
        expect(actual[output]!.shape, output).toEqual(shape);
        expect(actual[output]!.data, output).toBeAllclose(data, { relative: 1e-4, absolute: 1e-6 });
      }
    }
  });
});
