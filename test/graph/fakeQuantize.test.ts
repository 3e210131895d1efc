/** Rounding to a grid: by definition, in the oracle and on the runtime. */
import { describe, expect, it } from 'vitest';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { differentiate } from '../../src/graph/differentiate.js';
import { evaluate } from '../../src/graph/evaluate.js';
import { GraphBuilder } from '../../src/graph/graph.js';
import { fakeQuantize } from '../../src/graph/operations/fakeQuantize.js';
import { tensor } from '../../src/util/tensor.js';

const grids = [
  { scale: 0.5, zeroPoint: 3, low: 0, high: 255 },
  { scale: 0.25, zeroPoint: 0, low: -128, high: 127 },
  { scale: 8, zeroPoint: 255, low: 0, high: 255 },
];
/** Halves of steps are among them, and what lies outside. */
const values = [-1e4, -40.125, -1.75, -1.5, -1.25, -0.75, -0.25, 0, 0.25, 0.3, 0.75, 1.25, 4, 12, 20, 1e4];

describe.each(grids)('scale $scale, zero point $zeroPoint', (grid) => {
  const b = new GraphBuilder();
  b.output('y', fakeQuantize(b, b.input('x', [values.length]), grid));
  const graph = b.build();
  const { scale, zeroPoint, low, high } = grid;
  const found = evaluate(graph, new Map([['x', values]])).get('y')!.data;

  it('gives the nearest number of the grid', () => {
    const all = Array.from({ length: high - low + 1 }, (_, i) => (low + i - zeroPoint) * scale);
    values.forEach((x, i) => {
      const nearest = Math.min(...all.map((y) => Math.abs(x - y)));
      expect(all.some((y) => y === found[i]! + 0)).toBe(true);
      expect(Math.abs(x - found[i]!)).toBe(nearest);
      const isHalf = all.filter((y) => Math.abs(x - y) === nearest).length > 1;
      if (isHalf) expect(Math.abs((found[i]! / scale) % 2)).toBe(0);
    });
  });

  it('is the same on the runtime', async () => {
    const engine = await createOnnxRuntimeEngine({});
    const program = await engine.compile(graph);
    const { y } = await program.run({ x: tensor([values.length], Float32Array.from(values)) });
    await program.dispose();
    await engine.dispose();
    y!.data.forEach((v, i) => expect(v + 0).toBe(found[i]! + 0));
  });
});

it('has no slope', () => {
  const b = new GraphBuilder();
  const x = b.input('x', [3]);
  const y = fakeQuantize(b, x, grids[0]!);
  const [dx] = differentiate(b, [{ value: y, gradient: b.input('dy', [3]) }], [x]);
  b.output('y', y);
  if (dx !== undefined) b.output('dx', dx);
  const results = evaluate(
    b.build(),
    new Map([
      ['x', [1, 2, 3]],
      ['dy', [1, 1, 1]],
    ]),
  );
  expect([...(results.get('dx')?.data ?? [0, 0, 0])]).toEqual([0, 0, 0]);
});
