/** Which operators of a model the runtime runs on the CPU: what its profile says of one run. For Node.js. */
import * as ort from 'onnxruntime-node';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Feeds } from './bench.js';
import { cpuOperatorsOfProfile } from './runtimeProfile.js';

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
