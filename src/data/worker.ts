/** A worker thread of the loader: makes batches until it is told to end. */
import { parentPort, workerData } from 'node:worker_threads';
import { createBatchMaker, type BatchContext, type BatchPixels, type BatchTask } from './batchTask.js';

/** `end` closes the thread once the batches before it are done. */
export type WorkerRequest = { readonly id: number; readonly task: BatchTask } | 'end';
export type WorkerReply =
  { readonly id: number; readonly pixels: BatchPixels } | { readonly id: number; readonly error: string };

if (parentPort === null) throw new TypeError('Cannot make batches: this file runs as a worker thread only');
const port = parentPort;
const maker = createBatchMaker(workerData as BatchContext);

port.on('message', (request: WorkerRequest) => {
  if (request === 'end') {
    port.close();
    return;
  }
  const { id, task } = request;
  maker.make(task).then(
    // The pixels are handed over, not copied.
    (pixels) => port.postMessage({ id, pixels } satisfies WorkerReply, [pixels.images.buffer as ArrayBuffer]),
    (error: unknown) => port.postMessage({ id, error: String(error) } satisfies WorkerReply),
  );
});
