/** Pools where values are equal and windows reach beyond the image: by hand, and on the runtime. */
import { describe, expect, it } from 'vitest';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { differentiate } from '../../src/graph/differentiate.js';
import { evaluate } from '../../src/graph/evaluate.js';
import { GraphBuilder, type Graph } from '../../src/graph/graph.js';
import { averagePool } from '../../src/graph/operations/averagePool.js';
import { maxPool } from '../../src/graph/operations/maxPool.js';
import type { PoolAttributes } from '../../src/graph/operations/window.js';
import { createRandom } from '../../src/util/random.js';
import { sizeOf, tensor, type Shape } from '../../src/util/tensor.js';
import '../support/matchers.js';

function poolGraph(pool: typeof maxPool, shape: Shape, attributes: PoolAttributes): Graph {
  const b = new GraphBuilder();
  const x = b.input('x', shape);
  const y = pool(b, x, attributes);
  b.output('y', y);
  b.output('dx', differentiate(b, [{ value: y, gradient: b.input('dy', y.shape) }], [x])[0]!);
  return b.build();
}

/** y and dx of one image. */
function results(pool: typeof maxPool, rows: number[][], dy: number[], attributes: PoolAttributes) {
  const graph = poolGraph(pool, [1, 1, rows.length, rows[0]!.length], attributes);
  const found = evaluate(
    graph,
    new Map([
      ['x', rows.flat()],
      ['dy', dy],
    ]),
  );
  return { y: [...found.get('y')!.data], dx: [...found.get('dx')!.data] };
}

describe('the maximum', () => {
  it('is the first of equal ones, row by row', () => {
    const rows = [
      [1, 5, 5],
      [5, 5, 0],
      [0, 5, 5],
    ];
    const attributes = { kernel: 2, stride: 1, padding: 0, windows: [2, 2] } as const;
    // Windows from the top left: (0, 1); (0, 1); (1, 0); (1, 1).
    expect(results(maxPool, rows, [1, 10, 100, 1000], attributes)).toEqual({
      y: [5, 5, 5, 5],
      dx: [0, 11, 0, 100, 1000, 0, 0, 0, 0],
    });
  });

  it('is in the image, also where that is below zero', () => {
    const attributes = { kernel: 3, stride: 2, padding: 1, windows: [2, 2] } as const;
    const rows = [
      [-9, -8, -7],
      [-6, -5, -4],
      [-3, -2, -1],
    ];
    expect(results(maxPool, rows, [1, 2, 3, 4], attributes)).toEqual({
      y: [-5, -4, -2, -1],
      dx: [0, 0, 0, 0, 1, 2, 0, 3, 4],
    });
  });
});

describe('the mean', () => {
  it('counts only what lies in the image', () => {
    const attributes = { kernel: 2, stride: 2, padding: 0, windows: [2, 2] } as const;
    const rows = [
      [1, 2, 6],
      [3, 4, 8],
      [10, 20, 7],
    ];
    expect(results(averagePool, rows, [4, 2, 2, 1], attributes)).toEqual({
      y: [2.5, 7, 15, 7],
      dx: [1, 1, 1, 1, 1, 1, 1, 1, 1],
    });
  });
});

describe('on the runtime', () => {
  it.each([
    [3, 2, 1, [5, 4]],
    [2, 2, 0, [4, 4]],
    [3, 1, 1, [9, 7]],
    [2, 3, 0, [3, 2]],
  ] as const)(
    'kernel %i, stride %i, padding %i: many equal values',
    async (kernel, stride, padding, windows) => {
      const graph = poolGraph(maxPool, [2, 3, 9, 7], { kernel, stride, padding, windows });
      const random = createRandom('ties', kernel, stride);
      const feeds = Object.fromEntries(
        [...graph.inputs].map(([name, { shape }]) => {
          // As after a ReLU: half of the values are zero.
          const value = () => (name === 'x' ? Math.max(0, random.int(5) - 2) : random.normal());
          return [name, tensor(shape, Float32Array.from({ length: sizeOf(shape) }, value))];
        }),
      );
      const engine = await createOnnxRuntimeEngine({ threads: 1 });
      const program = await engine.compile(graph);
      const found = await program.run(feeds);
      const expected = evaluate(
        graph,
        new Map(Object.entries(feeds).map(([name, { data }]) => [name, data])),
      );
      for (const [name, { data }] of expected)
        expect(found[name]!.data).toBeAllclose(data, { relative: 1e-6 });
      await program.dispose();
    },
  );
});

it('refuses windows beside the image, and what is no image', () => {
  const b = new GraphBuilder();
  const attributes = { kernel: 2, stride: 2, padding: 0, windows: [3, 2] } as const;
  expect(() => maxPool(b, b.input('x', [1, 1, 4, 4]), attributes)).toThrow(
    /Cannot apply maxPool: .* under all of 3 x 2 windows of 2, stride 2, padding 0 is wanted/,
  );
  expect(() => averagePool(b, b.input('v', [4, 4]), attributes)).toThrow(TypeError);
});
