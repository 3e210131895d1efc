/** A worker thread of `models.ts`: reads a model, checks it and writes it anew. Its heap is limited by who starts it. */
import { readFile } from 'node:fs/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { writeAtomic } from '../../util/files.js';
import { checkModel } from './checkModel.js';
import type { CheckAnswer, CheckTask } from './models.js';

async function check({ from, to }: CheckTask): Promise<CheckAnswer> {
  let model: Uint8Array;
  try {
    model = checkModel(await readFile(from));
  } catch (error) {
    return { refused: (error as Error).message };
  }
  await writeAtomic(to, model);
  return { bytes: model.byteLength };
}

parentPort!.postMessage(await check(workerData as CheckTask));
