/** Checks models in a thread of its own, which may be ended: the agent outlives whatever is in a file. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { scriptUrl } from '../../util/scripts.js';

/** What `checkThread.ts` is told, and answers. */
export interface CheckTask {
  readonly from: string;
  readonly to: string;
  /** Hash of what was sent. */
  readonly hash: string;
}
export type CheckAnswer =
  | { readonly refused: string }
  | { readonly bytes: number }
  /** `code`: what the system said. */
  | { readonly failed: string; readonly code: string | undefined };

/** Objects that reading a model may need: a file of small numbers grows twentyfold when it is read. */
const HEAP_MB = 256;
const TIMEOUT_MS = 60_000;

function startThread(): Worker {
  const worker = new Worker(scriptUrl(import.meta.url, './checkThread.js'), {
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
  });
  // Who waits for an answer is told; an error while nobody waits must not end the agent.
  worker.on('error', () => undefined);
  return worker;
}

/** The thread's answer. It may end meanwhile, or be ended for taking too long. */
async function outcome(worker: Worker, task: CheckTask): Promise<CheckAnswer> {
  const stop = new AbortController();
  const { signal } = stop;
  const wait = async (event: 'message' | 'exit'): Promise<unknown> => {
    const [value] = (await once(worker, event, { signal })) as [unknown];
    return value;
  };
  const answered = wait('message').then((answer) => answer as CheckAnswer);
  const ended = wait('exit').then((code) => {
    throw new Error(`Cannot check a model: the thread ended with code ${String(code)}`);
  });
  const late = sleep(TIMEOUT_MS, undefined, { signal }).then(() => ({
    refused: `it could not be read in ${TIMEOUT_MS / 1000} s`,
  }));
  const all = [answered, ended, late];
  for (const one of all) one.catch(() => undefined);
  worker.postMessage(task);
  try {
    return await Promise.race(all);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_WORKER_OUT_OF_MEMORY') throw error;
    return { refused: 'it needs too much memory to be read' };
  } finally {
    stop.abort();
  }
}

export class ModelChecker {
  private worker: Worker | undefined;
  private previous: Promise<unknown> = Promise.resolve();

  /** One model after the other, each once the one before is done. */
  check(task: CheckTask): Promise<CheckAnswer> {
    const checking = this.previous.then(() => this.next(task));
    this.previous = checking.catch(() => undefined);
    return checking;
  }

  private async next(task: CheckTask): Promise<CheckAnswer> {
    const worker = (this.worker ??= startThread());
    worker.ref();
    // Replaced after anything but a plain answer: it may have ended.
    let usable = false;
    try {
      const answer = await outcome(worker, task);
      usable = 'bytes' in answer;
      return answer;
    } finally {
      if (usable) worker.unref();
      else {
        this.worker = undefined;
        await worker.terminate();
      }
    }
  }

  /** Ends the thread; another check starts a new one. */
  async close(): Promise<void> {
    await this.previous;
    await this.worker?.terminate();
    this.worker = undefined;
  }
}
