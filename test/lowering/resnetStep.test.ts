/** A training step of a ResNet: pools have no blocked form, so the default lowering mixes both. */
import { expect, it } from 'vitest';
import { defaultTarget } from '../../src/engine/onnxruntime/defaultTarget.js';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { backwardGraph, GRADIENT } from '../../src/graph/network.js';
import { onnxTarget } from '../../src/lowering/onnx.js';
import type { LoweringTarget } from '../../src/lowering/target.js';
import { createRandom } from '../../src/util/random.js';
import { sizeOf, tensor, type Tensor } from '../../src/util/tensor.js';
import { randomArchitecture } from '../export/spaces.js';
import { shippedSpace } from '../support/spaces.js';
import '../support/matchers.js';

/** |a - b| / |b| as vectors. */
function relativeError({ data: a }: Tensor, { data: b }: Tensor): number {
  const difference = b.reduce((sum, v, i) => sum + (a[i]! - v) ** 2, 0);
  const length = b.reduce((sum, v) => sum + v * v, 0);
  return Math.sqrt(difference / (length + 1e-12 * b.length));
}

it('is the same by the default lowering as by plain operators', async () => {
  // Every stride meets an odd number of pixels somewhere: 50, 25, 13, 7, 4, 2.
  const size = 50;
  const space = shippedSpace('ofa-resnet50', { imageSizes: [size], classes: 10, width: 0.25 });
  const random = createRandom('resnet step', size);
  const { blocks } = space.network(randomArchitecture(space, random));
  const graph = backwardGraph(blocks, 3, { loss: true, inputGradient: true });
  const feeds = Object.fromEntries(
    [...graph.inputs].map(([name, { shape }]) => {
      const fanIn = shape.length > 1 && name !== 'x' ? sizeOf(shape.slice(1)) : 1;
      const [offset, spread] =
        shape.length === 1 ? [Number(name.endsWith('weight')), 0.1] : [0, Math.sqrt(2 / fanIn)];
      return [
        name,
        tensor(
          shape,
          Float32Array.from({ length: sizeOf(shape) }, () => offset + spread * random.normal()),
        ),
      ];
    }),
  );
  const run = async (target: LoweringTarget): Promise<Record<string, Tensor>> => {
    const engine = await createOnnxRuntimeEngine({ threads: 2, target, optimization: 'basic' });
    const program = await engine.compile(graph);
    const results = await program.run(feeds);
    await program.dispose();
    return results;
  };
  const expected = await run(onnxTarget);
  const actual = await run(await defaultTarget());
  expect(expected[`${GRADIENT}x`]!.data.some((v) => Math.abs(v) > 1e-6)).toBe(true);
  for (const [name, value] of Object.entries(expected)) {
    // An element that rounds to the other side of a kink, or a maximum that moves, changes gradients.
    if (name.startsWith(GRADIENT)) expect(relativeError(actual[name]!, value), name).toBeLessThan(0.05);
    else expect(actual[name]!.data, name).toBeAllclose(value.data, { relative: 2e-4, absolute: 1e-6 });
  }
});
