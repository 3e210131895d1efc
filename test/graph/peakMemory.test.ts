/** The estimate against its definition, computed anew at every operation, and against what the runtime's allocator says. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { defaultTarget } from '../../src/engine/onnxruntime/defaultTarget.js';
import { loadRuntime } from '../../src/engine/onnxruntime/runtime.js';
import { GraphBuilder, type Graph, type Value } from '../../src/graph/graph.js';
import { backwardGraph, forwardGraph } from '../../src/graph/network.js';
import { add, affine } from '../../src/graph/operations/elementwise.js';
import { outputBytes, peakBytes } from '../../src/graph/peakMemory.js';
import { sizeOf, type Shape } from '../../src/util/tensor.js';
import { shippedSpace } from '../support/spaces.js';

function byDefinition({ inputs, constants, nodes, outputs }: Graph, block: number): number {
  const bytes = ({ shape }: { shape: Shape }): number =>
    shape.length === 4
      ? 4 * shape[0]! * block * Math.ceil(shape[1]! / block) * shape[2]! * shape[3]!
      : 4 * sizeOf(shape);
  const given = new Set<Value>([...inputs.values(), ...constants.keys()]);
  const kept = new Set(outputs.values());
  let worst = 0;
  nodes.forEach((node, i) => {
    const made = nodes.slice(0, i + 1).flatMap((earlier) => earlier.outputs);
    const needed = nodes.slice(i).flatMap((later) => [...later.inputs, ...later.outputs]);
    const alive = made.filter((value) => !given.has(value) && (kept.has(value) || needed.includes(value)));
    const touched = [...new Set([...node.inputs, ...node.outputs])];
    const sum = (values: readonly Value[]): number =>
      values.reduce((total, value) => total + bytes(value), 0);
    worst = Math.max(worst, sum(alive) + sum(touched));
  });
  return worst;
}

describe('peakBytes', () => {
  it('is what its definition says, for any graph', () => {
    const shapes: Shape[] = [[3], [2, 5], [2, 5, 3, 3]];
    fc.assert(
      fc.property(
        fc.constantFrom(...shapes),
        fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 1, maxLength: 12 }),
        fc.array(fc.nat(), { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 1, max: 8 }),
        (shape, operations, results, block) => {
          const b = new GraphBuilder();
          const values: Value[] = [
            b.input('x', shape),
            b.constant('c', shape, new Float32Array(sizeOf(shape))),
          ];
          const pick = (n: number): Value => values[n % values.length]!;
          operations.forEach(([i, j], k) => values.push(affine(b, add(b, pick(i), pick(j)), k + 2)));
          results.forEach((n, k) => b.output(`y${k}`, values[2 + (n % (values.length - 2))]!));
          const graph = b.build();
          expect(peakBytes(graph, block)).toBe(byDefinition(graph, block));
          expect(outputBytes(graph)).toBe(4 * sizeOf(shape) * graph.outputs.size);
        },
      ),
    );
  });

  it('is not far below what the runtime allocates, for blocks and a whole network', async () => {
    const space = shippedSpace('ofa-mbv3', { imageSizes: [64] });
    const { blocks } = space.network(space.largest);
    const block = blocks.find(({ name }) => name === 'stage0.block0')!;
    const graphs = [
      backwardGraph([block], 4, { loss: false, inputGradient: true }),
      forwardGraph([block], 4, 'calibration'),
      backwardGraph(blocks.slice(0, 6), 4, { loss: false, inputGradient: false }),
    ];
    for (const graph of graphs) {
      const estimate = peakBytes(graph);
      const allocated = await allocatedBytes(graph);
      expect(allocated).toBeGreaterThan(0.3 * estimate);
      expect(allocated).toBeLessThan(1.2 * estimate);
    }
  });
});

/** The most that the runtime's allocator had handed out during a run, from its profile. */
async function allocatedBytes(graph: Graph): Promise<number> {
  const runtime = await loadRuntime();
  const target = await defaultTarget();
  const folder = await mkdtemp(join(tmpdir(), 'ofakit-allocated-'));
  try {
    const session = await runtime.InferenceSession.create(target.lower(graph), {
      enableProfiling: true,
      profileFilePrefix: join(folder, 'run'),
      // Without an arena the profile does not count.
      enableCpuMemArena: true,
      enableMemPattern: false,
      graphOptimizationLevel: 'basic',
      intraOpNumThreads: 1,
    });
    const feeds = [...graph.inputs].map(
      ([name, { shape }]) =>
        [name, new runtime.Tensor('float32', new Float32Array(sizeOf(shape)), shape)] as const,
    );
    await session.run(Object.fromEntries(feeds));
    session.endProfiling();
    await session.release();
    const text = await readFile(join(folder, (await readdir(folder))[0]!), 'utf8');
    return Math.max(...[...text.matchAll(/"mem_in_use_peak" : "(\d+)"/g)].map(([, bytes]) => Number(bytes)));
  } finally {
    await rm(folder, { recursive: true });
  }
}
