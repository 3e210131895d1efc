/**
 * A process that computes on WebGPU and writes what came out as JSON to the file that it is given. The Vulkan driver is
 * chosen by the environment that a process starts with, so tests cannot choose it for themselves.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { FallbackReport } from '../../src/engine/onnxruntime/providers.js';
import { loadRuntime } from '../../src/engine/onnxruntime/runtime.js';
import { FallbackSessions, plainSessions, providerSessions } from '../../src/engine/onnxruntime/sessions.js';
import { createRuntime } from '../../src/pipeline/runtime.js';
import { readMetrics } from '../../src/training/metrics.js';
import { silentLogger, type Logger } from '../../src/util/logger.js';
import { digits, runTiny, tinySchedule, tinySpace } from '../training/support/runs.js';
import { prepareCase } from './conformance.js';
import { operationCases } from './operationCases.js';

export interface WebgpuResult {
  /** Of every case and output, the largest difference to the definition, and the largest magnitude there. */
  readonly cases: readonly {
    readonly name: string;
    readonly outputs: readonly { readonly difference: number; readonly scale: number }[];
  }[];
  /** What the log says. */
  readonly told: readonly string[];
  /** Losses of a short training, on the GPU and on the processor. */
  readonly losses: Readonly<Record<'webgpu' | 'cpu', readonly number[]>>;
}

const told: string[] = [];
const logger: Logger = { ...silentLogger, warn: (message) => void told.push(message) };

async function conformance(): Promise<WebgpuResult['cases']> {
  const sessions = await FallbackSessions.open(
    providerSessions(plainSessions(await loadRuntime()), 'webgpu'),
    new FallbackReport('webgpu', logger),
  );
  const engine = await createOnnxRuntimeEngine({ threads: 2, optimization: 'basic', sessions });
  const cases: WebgpuResult['cases'][number][] = [];
  for (const testCase of operationCases) {
    const { graph, feeds, expected } = prepareCase(testCase);
    const program = await engine.compile(graph);
    const results = await program.run(feeds);
    const outputs = [...expected].map(([name, { data }]) => {
      const actual = results[name]!.data;
      // Written so that what is not a number is a difference.
      const differences = [...data].map((v, i) =>
        Math.abs(v - actual[i]!) >= 0 ? Math.abs(v - actual[i]!) : 1e9,
      );
      return { difference: Math.max(...differences), scale: Math.max(...data.map(Math.abs)) };
    });
    cases.push({ name: testCase.name, outputs });
    await program.dispose();
  }
  await sessions.close();
  return cases;
}

async function losses(provider: 'webgpu' | 'cpu'): Promise<number[]> {
  const folder = await mkdtemp(join(tmpdir(), 'ofakit-webgpu-'));
  const runtime = await createRuntime({ threads: 2, provider, logger });
  try {
    await runTiny({
      folder,
      runtime,
      dataset: await digits(32),
      validates: false,
      training: {
        space: tinySpace({ imageSizes: [8], depth: [1], kernel: [3, 5], expand: [1, 2] }),
        schedule: tinySchedule({ batchSize: 8 }),
      },
    });
    return (await readMetrics(join(folder, 'metrics.jsonl'))).map(({ loss }) => loss);
  } finally {
    await runtime.dispose();
    await rm(folder, { recursive: true });
  }
}

const result: WebgpuResult = {
  cases: await conformance(),
  losses: { webgpu: await losses('webgpu'), cpu: await losses('cpu') },
  told,
};
await writeFile(process.argv[2]!, JSON.stringify(result));
