/** Which operators of a model the runtime runs on the CPU: what its profile says of one run. For Node.js. */
import * as ort from 'onnxruntime-node';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { Feeds } from './bench.js';

/** Events of kernels have these; others have none of them. */
const profileSchema = z.array(
  z.looseObject({
    args: z.looseObject({ provider: z.string().optional(), op_name: z.string().optional() }).optional(),
  }),
);

/** Operator types that a profile of the runtime says were run by the CPU provider, one for each node. */
export function cpuOperatorsOfProfile(text: string): string[] {
  return profileSchema
    .parse(JSON.parse(text))
    .filter(({ args }) => args?.provider === 'CPUExecutionProvider')
    .map(({ args }) => args?.op_name ?? 'unknown');
}

/** See `BenchHost.cpuOperators`. The runtime writes its profile into a file: into a folder of its own, removed afterwards. */
export async function profiledCpuOperators(
  onnx: Uint8Array,
  feeds: Feeds,
  options: ort.InferenceSession.SessionOptions,
): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'ofakit-profile-'));
  try {
    const session = await ort.InferenceSession.create(onnx, {
      ...options,
      enableProfiling: true,
      profileFilePrefix: join(folder, 'run'),
    });
    try {
      await session.run(feeds);
      session.endProfiling();
    } finally {
      await session.release();
    }
    const [file] = await readdir(folder);
    if (file === undefined) throw new Error('the runtime wrote no profile');
    return cpuOperatorsOfProfile(await readFile(join(folder, file), 'utf8'));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
