/** Models to be timed: every block of the shipped spaces, shapes, scale of the activations. */
import { describe, expect, it } from 'vitest';
import { blockModel, networkModel, randomTensors } from '../../src/export/measurement.js';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { inferenceGraph } from '../../src/graph/network.js';
import { decodeModel, readOnnx } from '../../src/lowering/readOnnx.js';
import type { BlockSpec } from '../../src/space/network.js';
import { staticNetwork } from '../../src/supernet/subnet.js';
import { createRandom } from '../../src/util/random.js';
import { sizeOf, tensor } from '../../src/util/tensor.js';
import { shippedSpace } from '../support/spaces.js';

const space = shippedSpace('mbv3-cifar');
const image = (block: BlockSpec, batch: number): number[] => [
  batch,
  block.input.channels,
  block.input.height,
  block.input.width,
];

describe.each(['largest', 'smallest'] as const)('%s', (which) => {
  const network = space.network(space[which]);

  it.each([1, 4])('every block runs at batch %i and gives one number an image', async (batch) => {
    const engine = await createOnnxRuntimeEngine({ threads: 1 });
    for (const block of network.blocks) {
      const bytes = blockModel(block, { batch, seed: 1 });
      const { graph, dynamicBatch } = readOnnx(bytes);
      expect(dynamicBatch).toBe(false);
      const input = graph.inputs.get('input')!;
      expect(input.shape).toEqual(image(block, batch));
      expect(graph.nodes.map(({ operation }) => operation.name)).not.toContain('batchNormInference');
      const output = graph.outputs.get('output')!;
      const isLast = block === network.blocks[network.blocks.length - 1];
      expect(output.shape).toEqual(isLast ? [batch, network.classes] : [1, 1, 1, 1]);
      const program = await engine.compile(graph);
      const { output: y } = await program.run({ input: tensor(input.shape) });
      expect(y!.data.every(Number.isFinite)).toBe(true);
      await program.dispose();
    }
  });

  it('sums stay near variance 1 down to the logits', async () => {
    const { blocks } = staticNetwork(network);
    const engine = await createOnnxRuntimeEngine({ threads: 1 });
    const tensors = randomTensors(blocks, 3);
    const random = createRandom('scale');
    let shape: readonly number[] = image(blocks[0]!, 2);
    let data = Float32Array.from({ length: sizeOf(shape) }, () => random.normal());
    for (const block of blocks) {
      const program = await engine.compile(inferenceGraph([block], tensors, 2));
      const { logits } = await program.run({ input: tensor(shape, data) });
      await program.dispose();
      data = new Float32Array(logits!.data);
      shape = logits!.shape;
      const square = data.reduce((sum, v) => sum + v * v, 0) / data.length;
      expect(square).toBeGreaterThan(0.05);
      expect(square).toBeLessThan(20);
      // Denormals are slow, and none of a trained network's activations is one.
      expect(data.every((v) => v === 0 || Math.abs(v) > 1e-30)).toBe(true);
    }
  });

  it('the whole network is the chain of its blocks', () => {
    const bytes = networkModel(network, { batch: 2, seed: 1 });
    const { graph } = readOnnx(bytes);
    expect(graph.inputs.get('input')!.shape).toEqual(image(network.blocks[0]!, 2));
    expect(graph.outputs.get('output')!.shape).toEqual([2, network.classes]);
    const convolutions = (g: typeof graph): number =>
      g.nodes.filter(({ operation }) => operation.name === 'conv2d').length;
    const inBlocks = network.blocks.map((block) =>
      convolutions(readOnnx(blockModel(block, { batch: 2, seed: 1 })).graph),
    );
    expect(convolutions(graph)).toBe(inBlocks.reduce((sum, n) => sum + n));
  });
});

it('the same seed gives the same bytes, another seed other weights', () => {
  const block = space.network(space.largest).blocks[2]!;
  const first = blockModel(block, { batch: 1, seed: 1 });
  expect(blockModel(block, { batch: 1, seed: 1 })).toEqual(first);
  const other = blockModel(block, { batch: 1, seed: 2 });
  expect(other.length).toBe(first.length);
  expect(other).not.toEqual(first);
  expect(decodeModel(other).graph!.node!.map(({ opType }) => opType)).toEqual(
    decodeModel(first).graph!.node!.map(({ opType }) => opType),
  );
});
