/** A thread that holds sessions: creates, runs and releases them as it is told, one request after the other. */
import { parentPort } from 'node:worker_threads';
import type { InferenceSession } from 'onnxruntime-node';
import { loadRuntime } from './runtime.js';

export type TensorData =
  | { readonly type: 'float32'; readonly data: Float32Array; readonly dims: readonly number[] }
  | { readonly type: 'bool'; readonly data: Uint8Array; readonly dims: readonly number[] };

export interface SessionNames {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

export type SessionRequest =
  | {
      readonly id: number;
      readonly kind: 'create';
      readonly model: Uint8Array;
      readonly options: InferenceSession.SessionOptions;
    }
  | {
      readonly id: number;
      readonly kind: 'run';
      /** The request that created it. */
      readonly session: number;
      readonly feeds: Readonly<Record<string, TensorData>>;
      /** All outputs unless given. */
      readonly fetches: readonly string[] | undefined;
    }
  | { readonly id: number; readonly kind: 'release'; readonly session: number }
  | 'end';

export type SessionReply =
  | { readonly id: number; readonly kind: 'created'; readonly names: SessionNames }
  | { readonly id: number; readonly kind: 'ran'; readonly outputs: Readonly<Record<string, TensorData>> }
  | { readonly id: number; readonly kind: 'released' }
  | { readonly id: number; readonly kind: 'failed'; readonly message: string };

if (parentPort === null) throw new TypeError('Cannot hold sessions: this file runs as a worker thread only');
const port = parentPort;
const sessions = new Map<number, InferenceSession>();
/** The runtime refuses shared memory: what comes in it is copied here, by length, once a run. */
const scratch = new Map<string, Float32Array>();
let previous: Promise<unknown> = Promise.resolve();

function unshared(name: string, data: Float32Array): Float32Array {
  if (!(data.buffer instanceof SharedArrayBuffer)) return data;
  const known = scratch.get(name);
  const own = known?.length === data.length ? known : new Float32Array(data.length);
  scratch.set(name, own);
  own.set(data);
  return own;
}

function sessionOf(id: number): InferenceSession {
  const session = sessions.get(id);
  if (session === undefined)
    throw new RangeError(`Cannot use session ${id}: the thread must hold it: it does not`);
  return session;
}

async function answer(request: Exclude<SessionRequest, 'end'>): Promise<SessionReply> {
  const { id } = request;
  const runtime = await loadRuntime();
  switch (request.kind) {
    case 'create': {
      const session = await runtime.InferenceSession.create(request.model, request.options);
      sessions.set(id, session);
      return { id, kind: 'created', names: { inputs: session.inputNames, outputs: session.outputNames } };
    }
    case 'run': {
      const session = sessionOf(request.session);
      const feeds = Object.fromEntries(
        Object.entries(request.feeds).map(([name, { type, data, dims }]) => [
          name,
          type === 'float32'
            ? new runtime.Tensor(type, unshared(name, data), dims)
            : new runtime.Tensor(type, data, dims),
        ]),
      );
      const results = await session.run(feeds, request.fetches ?? session.outputNames);
      const outputs = Object.fromEntries(
        Object.entries(results).map(([name, { data, dims }]) => {
          if (!(data instanceof Float32Array))
            throw new TypeError(`Cannot answer a run: output "${name}" must be float32: it is not`);
          return [name, { type: 'float32', data, dims } as const];
        }),
      );
      return { id, kind: 'ran', outputs };
    }
    case 'release':
      await sessionOf(request.session).release();
      sessions.delete(request.session);
      return { id, kind: 'released' };
  }
}

port.on('message', (request: SessionRequest) => {
  // Runs are in the order of their requests, and the thread ends after the last.
  previous = previous.then(async () => {
    if (request === 'end') {
      for (const session of sessions.values()) await session.release();
      port.close();
      return;
    }
    const reply = await answer(request).catch((error: unknown): SessionReply => ({
      id: request.id,
      kind: 'failed',
      message: error instanceof Error ? error.message : String(error),
    }));
    port.postMessage(reply);
  });
});
