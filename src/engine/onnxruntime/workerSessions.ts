/**
 * Sessions in a thread of their own. A run of the runtime blocks the thread that asked for it: here the caller goes on, and
 * sessions of several such threads run side by side.
 */
import { Worker } from 'node:worker_threads';
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { scriptUrl } from '../../util/scripts.js';
import type { Runtime } from './runtime.js';
import type { SessionFactory } from './sessions.js';
import type { SessionNames, SessionReply, SessionRequest, TensorData } from './sessionWorker.js';

type Reply<K> = Extract<SessionReply, { kind: K }>;
type Unnumbered<R> = R extends { id: number } ? Omit<R, 'id'> : never;

interface Pending {
  readonly resolve: (reply: SessionReply) => void;
  readonly reject: (error: Error) => void;
}

export class WorkerSessions implements SessionFactory {
  private readonly worker: Worker;
  private readonly ended: Promise<unknown>;
  private readonly pending = new Map<number, Pending>();
  private nextId = 0;
  private failure: Error | undefined;

  /** Starts the thread. */
  constructor(private readonly runtime: Runtime) {
    // Options of the process (a loader, --input-type) are not for the compiled file that a thread runs.
    this.worker = new Worker(scriptUrl(import.meta.url, './sessionWorker.js'), { execArgv: [] });
    this.worker.on('message', (reply: SessionReply) => {
      const waiting = this.pending.get(reply.id);
      this.pending.delete(reply.id);
      if (reply.kind === 'failed') waiting?.reject(new Error(reply.message));
      else waiting?.resolve(reply);
    });
    this.worker.on('error', (cause) => {
      this.fail(new Error(`Cannot run sessions: their thread died: ${String(cause)}`, { cause }));
    });
    this.ended = new Promise((resolve) => {
      this.worker.on('exit', (code) => {
        this.fail(new Error(`Cannot run sessions: their thread ended with exit code ${code}`));
        resolve(undefined);
      });
    });
  }

  /** Options must be plain data. Rejects where the runtime refuses the model, or the thread died. */
  async create(model: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession> {
    const { id, names } = await this.ask<'created'>({ kind: 'create', model, options });
    return new RemoteSession(this.runtime, names, {
      run: async (feeds, fetches) =>
        (await this.ask<'ran'>({ kind: 'run', session: id, feeds, fetches })).outputs,
      release: async () => {
        await this.ask<'released'>({ kind: 'release', session: id });
      },
    });
  }

  /** Ends the thread after what was asked of it; its sessions are released. */
  async close(): Promise<void> {
    this.worker.postMessage('end' satisfies SessionRequest);
    await this.ended;
  }

  private ask<K extends SessionReply['kind']>(request: Unnumbered<SessionRequest>): Promise<Reply<K>> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      this.pending.set(id, { resolve: (reply) => resolve(reply as Reply<K>), reject });
      this.worker.postMessage({ id, ...request } satisfies SessionRequest);
    });
  }

  private fail(error: Error): void {
    this.failure ??= error;
    for (const { reject } of this.pending.values()) reject(this.failure);
    this.pending.clear();
  }
}

interface Remote {
  run(
    feeds: Readonly<Record<string, TensorData>>,
    fetches: readonly string[] | undefined,
  ): Promise<Readonly<Record<string, TensorData>>>;
  release(): Promise<void>;
}

class RemoteSession implements InferenceSession {
  readonly inputMetadata: readonly InferenceSession.ValueMetadata[] = [];
  readonly outputMetadata: readonly InferenceSession.ValueMetadata[] = [];

  constructor(
    private readonly runtime: Runtime,
    private readonly names: SessionNames,
    private readonly remote: Remote,
  ) {}

  get inputNames(): readonly string[] {
    return this.names.inputs;
  }
  get outputNames(): readonly string[] {
    return this.names.outputs;
  }

  async run(
    feeds: InferenceSession.FeedsType,
    fetches?: InferenceSession.FetchesType | InferenceSession.RunOptions,
  ): Promise<InferenceSession.ReturnType> {
    const data = Object.fromEntries(
      Object.entries(feeds).map(([name, value]) => [name, tensorData(name, value)]),
    );
    const outputs = await this.remote.run(data, Array.isArray(fetches) ? (fetches as string[]) : undefined);
    return Object.fromEntries(
      Object.entries(outputs).map(([name, { data: values, dims }]) => [
        name,
        new this.runtime.Tensor('float32', values as Float32Array, dims),
      ]),
    );
  }

  release(): Promise<void> {
    return this.remote.release();
  }

  startProfiling(): void {
    throw new TypeError('Cannot profile a session of another thread');
  }

  endProfiling(): void {
    throw new TypeError('Cannot profile a session of another thread');
  }
}

/** Values in shared memory cross as they are; others are copied. */
function tensorData(name: string, { type, data, dims }: OrtTensor): TensorData {
  if (type === 'float32' && data instanceof Float32Array) return { type, data, dims };
  if (type === 'bool' && data instanceof Uint8Array) return { type, data, dims };
  throw new TypeError(
    `Cannot run a session of another thread: "${name}" must be float32 or bool: it is ${type}`,
  );
}
