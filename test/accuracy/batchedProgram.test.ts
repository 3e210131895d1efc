import { beforeAll, describe, expect, it } from 'vitest';
import { BatchedProgram } from '../../src/accuracy/batchedProgram.js';
import type { Engine } from '../../src/engine/engine.js';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { GraphBuilder } from '../../src/graph/graph.js';
import { matmul } from '../../src/graph/operations/matmul.js';
import { createRandom } from '../../src/util/random.js';

const [WIDTH, COLUMNS] = [5, 3];
const random = createRandom(1);
const weights = Float32Array.from({ length: WIDTH * COLUMNS }, () => random.float());

let engine: Engine;
beforeAll(async () => {
  engine = await createOnnxRuntimeEngine({ threads: 1 });
});

/** `x` times the weights, and the batches that were built. */
function product(): { program: BatchedProgram; built: number[] } {
  const built: number[] = [];
  const program = new BatchedProgram(engine, WIDTH, (batch) => {
    built.push(batch);
    const b = new GraphBuilder();
    const x = b.input('x', [batch, WIDTH]);
    b.output('y', matmul(b, x, b.constant('weights', [WIDTH, COLUMNS], weights)));
    return b.build();
  });
  return { program, built };
}

async function check(program: BatchedProgram, count: number): Promise<void> {
  const rows = Float32Array.from({ length: count * WIDTH }, () => random.float());
  const { y = new Float32Array() } = await program.run(rows, count);
  expect(y.length).toBe(count * COLUMNS);
  for (let row = 0; row < count; row++) {
    for (let column = 0; column < COLUMNS; column++) {
      let sum = 0;
      for (let i = 0; i < WIDTH; i++) sum += rows[row * WIDTH + i]! * weights[i * COLUMNS + column]!;
      expect(y[row * COLUMNS + column]).toBeCloseTo(sum, 5);
    }
  }
}

describe('BatchedProgram', () => {
  it('takes any number of rows', async () => {
    const { program } = product();
    for (const count of [1, 15, 16, 17, 100, 129, 512, 700, 1025, 2100]) await check(program, count);
    await program.dispose();
  });

  it('takes a number of rows that is asked for again and again in one run, with as few programs as before', async () => {
    const { program, built } = product();
    for (let round = 0; round < 40; round++) await check(program, 100);
    expect(built).toContain(100);
    for (let count = 30; count < 60; count++)
      for (let round = 0; round < 25; round++) await check(program, count);
    expect(built.length).toBe(new Set(built).size);
    expect(built.length).toBeLessThanOrEqual(8);
    await program.dispose();
    await check(program, 100);
  });
});
