/** PyTorch doing the same work in a process of its own, one piece at a time, so that both take turns on the machine. */
import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export type PeerRequest =
  | { readonly work: 'step' | 'eval'; readonly format: MemoryFormat; readonly subnet: string }
  | { readonly work: 'block'; readonly format: MemoryFormat; readonly k: number };
export type MemoryFormat = 'contiguous_format' | 'channels_last';

export interface TorchPeer {
  readonly version: string;
  /** Median milliseconds. */
  measure(request: PeerRequest): Promise<number>;
  close(): void;
}

export interface PeerOptions {
  readonly batch: number;
  readonly size: number;
  readonly classes: number;
  readonly threads: number;
  readonly repeat: number;
}

/** Undefined where that Python has no PyTorch. */
export async function startTorchPeer(python: string, options: PeerOptions): Promise<TorchPeer | undefined> {
  if (spawnSync(python, ['-c', 'import torch']).status !== 0) return undefined;
  const script = fileURLToPath(new URL('../peers/torch_train_step.py', import.meta.url));
  const settings = Object.entries(options).flatMap(([key, value]) => [`--${key}`, `${value}`]);
  const child = spawn(python, [script, '--serve', ...settings], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async <T>(): Promise<T> => {
    const line = (await lines.next()) as IteratorResult<string, undefined>;
    if (line.done === true) throw new Error('The PyTorch process ended');
    return JSON.parse(line.value) as T;
  };
  const { torch } = await answer<{ torch: string }>();
  return {
    version: torch,
    measure: async (request) => {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      return (await answer<{ ms: number }>()).ms;
    },
    close: () => child.stdin.end(),
  };
}
