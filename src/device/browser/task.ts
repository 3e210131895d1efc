/** What a page and its worker say to each other. */
import type { ReferenceModels } from '../bench.js';
import type { Protocol } from '../protocol.js';
import type { RuntimeSettings } from '../settings.js';
import type { MeasureEvent } from '../transport.js';

/** A job with its models, for one worker. */
export interface Task {
  readonly settings: RuntimeSettings;
  readonly protocol: Protocol;
  readonly seed: number;
  readonly models: readonly { readonly id: string; readonly onnx: Uint8Array }[];
  readonly references: ReferenceModels;
  /** Absolute address of the folder of the runtime's files. */
  readonly runtimeUrl: string;
}

/** Page to worker. Measuring goes on while the page is visible. */
export type ToWorker =
  | { readonly type: 'task'; readonly task: Task; readonly visible: boolean }
  | { readonly type: 'visible'; readonly visible: boolean };

/** Worker to page: events for the agent, and what only whoever looks at the page is told. */
export type FromWorker = MeasureEvent | Glimpse;

/** What a round of a model came to. */
export interface Glimpse {
  readonly type: 'glimpse';
  readonly id: string;
  readonly medianMs: number;
}

/** The runtime's files for a provider: what is imported, and what that loads. */
export function runtimeFiles(provider: string): readonly [string, ...string[]] {
  return provider === 'webgpu'
    ? ['ort.webgpu.min.mjs', 'ort-wasm-simd-threaded.asyncify.mjs', 'ort-wasm-simd-threaded.asyncify.wasm']
    : ['ort.wasm.min.mjs', 'ort-wasm-simd-threaded.mjs', 'ort-wasm-simd-threaded.wasm'];
}
