/** Batches from worker threads, or from the calling thread where there are none. */
import { fileURLToPath } from 'node:url';
import { scriptUrl } from '../util/scripts.js';
import { createBatchMaker, type BatchContext, type BatchPixels, type BatchTask } from './batchTask.js';

export interface BatchPool {
  make(task: BatchTask): Promise<BatchPixels>;
  /** Ends the threads; work under way is rejected. */
  close(): Promise<void>;
}

/** `workers`: number of threads; 0 works in the calling thread. */
export async function openBatchPool(context: BatchContext, workers: number): Promise<BatchPool> {
  if (workers === 0) {
    const maker = createBatchMaker(context);
    return { make: (task) => maker.make(task), close: () => Promise.resolve() };
  }
  const { Piscina } = await import('piscina');
  const pool = new Piscina({
    filename: fileURLToPath(scriptUrl(import.meta.url, './worker.js')),
    name: 'makeBatch',
    minThreads: workers,
    maxThreads: workers,
    // A worker that sleeps in Atomics.wait between tasks would hold up the image decoder's callbacks.
    atomics: 'disabled',
    workerData: context,
  });
  return {
    make: (task) => pool.run(task) as Promise<BatchPixels>,
    close: () => pool.destroy(),
  };
}
