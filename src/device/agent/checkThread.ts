/** The thread of `checker.ts`: reads models, checks them and writes them anew. Its heap is limited by who starts it. */
import { readFile } from 'node:fs/promises';
import { parentPort } from 'node:worker_threads';
import { writeAtomic } from '../../util/files.js';
import type { CheckAnswer, CheckTask } from './checker.js';
import { checkModel } from './checkModel.js';
import { seal } from './seal.js';

async function check({ from, to, hash }: CheckTask): Promise<CheckAnswer> {
  try {
    const bytes = await readFile(from);
    let model: Uint8Array;
    try {
      model = seal(checkModel(bytes), hash);
    } catch (error) {
      return { refused: (error as Error).message };
    }
    await writeAtomic(to, model);
    return { bytes: model.byteLength };
  } catch (error) {
    const { message, cause } = error as Error;
    return { failed: message, code: (cause as NodeJS.ErrnoException | undefined)?.code };
  }
}

parentPort!.on('message', (task: CheckTask) => {
  void check(task).then((answer) => parentPort!.postMessage(answer));
});
