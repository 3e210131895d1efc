/**
 * Batches from worker threads, or from the calling thread where there are none. Threads are asked to end, never
 * terminated: Node.js aborts now and then when a thread is terminated while it starts, and piscina 5, which does so,
 * also throws uncaught when a result arrives during that.
 */
import { Worker } from 'node:worker_threads';
import { scriptUrl } from '../util/scripts.js';
import { createBatchMaker, type BatchContext, type BatchPixels, type BatchTask } from './batchTask.js';
import type { WorkerReply, WorkerRequest } from './worker.js';

export interface BatchPool {
  /** Rejects when the task fails, or its thread dies. */
  make(task: BatchTask): Promise<BatchPixels>;
  /** Ends the threads after the batches under way. */
  close(): Promise<void>;
}

/** `workers`: number of threads; 0 works in the calling thread. */
export function openBatchPool(context: BatchContext, workers: number): BatchPool {
  if (workers > 0) return new ThreadPool(context, workers);
  const maker = createBatchMaker(context);
  return { make: (task) => maker.make(task), close: () => Promise.resolve() };
}

interface Job {
  readonly task: BatchTask;
  readonly resolve: (pixels: BatchPixels) => void;
  readonly reject: (error: Error) => void;
}

interface Thread {
  readonly worker: Worker;
  readonly jobs: Map<number, Job>;
  readonly ended: Promise<unknown>;
}

/** One batch in the making and one waiting, so that a thread need not wait for its next message. */
const JOBS_PER_THREAD = 2;

class ThreadPool implements BatchPool {
  private readonly threads: Thread[];
  private readonly queue: Job[] = [];
  private nextId = 0;
  private ending = false;
  private failure: Error | undefined;

  constructor(context: BatchContext, workers: number) {
    this.threads = Array.from({ length: workers }, () => this.start(context));
  }

  make(task: BatchTask): Promise<BatchPixels> {
    return new Promise((resolve, reject) => {
      this.queue.push({ task, resolve, reject });
      this.dispatch();
    });
  }

  async close(): Promise<void> {
    this.ending = true;
    this.dispatch();
    await Promise.all(this.threads.map(({ ended }) => ended));
  }

  private start(context: BatchContext): Thread {
    // Options of the process (a loader, --input-type) are not for the compiled file that a thread runs.
    const worker = new Worker(scriptUrl(import.meta.url, './worker.js'), {
      workerData: context,
      execArgv: [],
    });
    const jobs: Thread['jobs'] = new Map();
    worker.on('message', (reply: WorkerReply) => {
      const job = jobs.get(reply.id);
      if (job === undefined) return;
      jobs.delete(reply.id);
      if ('pixels' in reply) job.resolve(reply.pixels);
      else job.reject(new Error(`Cannot prepare a batch: ${reply.error}`));
      this.dispatch();
    });
    worker.on('error', (cause) => {
      const reason = cause instanceof Error ? cause.message : String(cause);
      this.fail(new Error(`Cannot prepare batches: a worker thread died: ${reason}`, { cause }));
    });
    const ended = new Promise((resolve) => {
      worker.on('exit', (code) => {
        resolve(undefined);
        if (!this.ending || jobs.size > 0) {
          this.fail(new Error(`Cannot prepare batches: a worker thread ended with exit code ${code}`));
        }
      });
    });
    return { worker, jobs, ended };
  }

  /** Hands queued jobs to the least busy threads; when all is done and the pool is closing, ends them. */
  private dispatch(): void {
    if (this.failure !== undefined) {
      for (const job of this.queue.splice(0)) job.reject(this.failure);
    }
    while (this.queue.length > 0) {
      const thread = this.threads.reduce((a, b) => (b.jobs.size < a.jobs.size ? b : a));
      if (thread.jobs.size >= JOBS_PER_THREAD) return;
      const job = this.queue.shift()!;
      const id = this.nextId++;
      thread.jobs.set(id, job);
      thread.worker.postMessage({ id, task: job.task } satisfies WorkerRequest);
    }
    if (this.ending && this.threads.every(({ jobs }) => jobs.size === 0)) {
      for (const { worker } of this.threads) worker.postMessage('end' satisfies WorkerRequest);
    }
  }

  /** Without one of its threads the pool is of no use: everything under way and later is rejected. */
  private fail(error: Error): void {
    this.failure ??= error;
    for (const { jobs } of this.threads) {
      for (const job of jobs.values()) job.reject(this.failure);
      jobs.clear();
    }
    this.dispatch();
  }
}
