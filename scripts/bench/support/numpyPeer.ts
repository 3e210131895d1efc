/** NumPy and PyTorch running the same perceptron in a process of their own, once a request, so that all take turns. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface Perceptron {
  readonly inputs: number;
  readonly width: number;
  readonly layers: number;
  /** `hidden0.weight` [in, out], `hidden0.bias` ..., `output.weight` [width, 1]. */
  readonly parameters: Readonly<Record<string, Float32Array>>;
}

export interface NumpyPeer {
  readonly numpy: string;
  /** Null where that Python has none. */
  readonly torch: string | null;
  /** Outputs of the rows, by NumPy. */
  readonly outputs: Float32Array;
  /** Milliseconds of one run over all rows. */
  measure(which: 'numpy' | 'torch'): Promise<number>;
  close(): Promise<void>;
}

/** `rows`: [count, inputs]. Undefined where that Python has no NumPy. */
export async function startNumpyPeer(
  python: string,
  rows: Float32Array,
  { inputs, width, layers, parameters }: Perceptron,
  threads: number,
): Promise<NumpyPeer | undefined> {
  if (spawnSync(python, ['-c', 'import numpy']).status !== 0) return undefined;
  const folder = await mkdtemp(join(tmpdir(), 'ofakit-bench-'));
  const write = (name: string, { buffer, byteOffset, byteLength }: Float32Array): Promise<void> =>
    writeFile(join(folder, `${name}.f32`), new Uint8Array(buffer, byteOffset, byteLength));
  await write('x', rows);
  await write('output', parameters['output.weight']!);
  for (let layer = 0; layer < layers; layer++) {
    await write(`w${layer}`, parameters[`hidden${layer}.weight`]!);
    await write(`b${layer}`, parameters[`hidden${layer}.bias`]!);
  }
  const script = fileURLToPath(new URL('../peers/mlp_predict.py', import.meta.url));
  const sizes = [rows.length / inputs, inputs, width, layers, threads].map(String);
  const child = spawn(python, [script, folder, ...sizes], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async <T>(): Promise<T> => {
    const line = (await lines.next()) as IteratorResult<string, undefined>;
    if (line.done === true) throw new Error('The Python process ended');
    return JSON.parse(line.value) as T;
  };
  const versions = await answer<{ numpy: string; torch: string | null }>();
  const bytes = await readFile(join(folder, 'y.f32'));
  return {
    ...versions,
    outputs: new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4),
    measure: async (which) => {
      child.stdin.write(`${which}\n`);
      return (await answer<{ ms: number }>()).ms;
    },
    close: async () => {
      child.stdin.end();
      await rm(folder, { recursive: true });
    },
  };
}
