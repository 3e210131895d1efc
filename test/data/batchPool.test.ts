import { expect, it } from 'vitest';
import { openBatchPool } from '../../src/data/batchPool.js';
import type { BatchContext, BatchTask } from '../../src/data/batchTask.js';

const context: BatchContext = {
  images: { kind: 'memory', channels: 1, height: 2, width: 2, pixels: new SharedArrayBuffer(40) },
  policy: { train: [], evaluation: 'resize' },
  normalisation: { mean: [0], std: [1] },
  cache: undefined,
};
const task: BatchTask = { refs: [{ position: 3 }], imageSize: 2, augment: undefined };

it('rejects work under way and later work when a thread dies, and still closes', async () => {
  const pool = openBatchPool({ ...context, images: undefined as never }, 2);
  await expect(pool.make(task)).rejects.toThrow(/^Cannot prepare batches: a worker thread died: /);
  await expect(pool.make(task)).rejects.toThrow('a worker thread died');
  await pool.close();
});

it('rejects a task that cannot be done, and goes on', async () => {
  const pool = openBatchPool(context, 1);
  await expect(pool.make({ ...task, refs: undefined as never })).rejects.toThrow(
    'Cannot prepare a batch: TypeError',
  );
  expect([...(await pool.make(task)).images]).toEqual([0, 0, 0, 0]);
  await pool.close();
});

it('finishes everything asked for before it closes, however long the queue', async () => {
  new Uint8Array((context.images as { pixels: SharedArrayBuffer }).pixels).forEach(
    (_, i, all) => (all[i] = i),
  );
  for (const workers of [0, 1, 3]) {
    const pool = openBatchPool(context, workers);
    const batches = Array.from({ length: 30 }, (_, i) =>
      pool.make({ ...task, refs: [{ position: i % 10 }] }),
    );
    await pool.close();
    for (const [i, { images }] of (await Promise.all(batches)).entries()) {
      expect([...images].map((v) => Math.round(v * 255))).toEqual([0, 1, 2, 3].map((k) => (i % 10) * 4 + k));
    }
  }
});

it('closes before its threads have started', async () => {
  for (let i = 0; i < 10; i++) await expect(openBatchPool(context, 2).close()).resolves.toBeUndefined();
});
