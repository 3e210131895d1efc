/** A worker thread of the loader: makes batches until the pool ends it. */
import { move, transferableSymbol, valueSymbol, workerData } from 'piscina';
import { createBatchMaker, type BatchContext, type BatchPixels, type BatchTask } from './batchTask.js';

const maker = createBatchMaker(workerData as BatchContext);

/** Runs in the pool, which calls the export of this name. The pixels are handed over, not copied. */
export async function makeBatch(task: BatchTask): Promise<BatchPixels> {
  const pixels = await maker.make(task);
  return move({
    [transferableSymbol]: pixels.images.buffer,
    [valueSymbol]: pixels,
  }) as unknown as BatchPixels;
}
