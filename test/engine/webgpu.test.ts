/** WebGPU through ONNX Runtime, on a GPU in software: every operation, and a short training. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { packagePath } from '../../src/util/scripts.js';
import { operationCases } from '../support/operationCases.js';
import { noSwiftShader, swiftShaderEnvironment } from '../support/swiftShader.js';
import type { WebgpuResult } from '../support/webgpuProcess.js';

/** ONNX operators that onnxruntime-node 1.30 lacks kernels of for WebGPU (docs/performance.md); Reshape: of whole numbers. */
const WITHOUT_KERNEL = ['LogSoftmax', 'MaxPool', 'Reshape', 'Round'];

const title = swiftShaderEnvironment === undefined ? noSwiftShader : 'WebGPU on SwiftShader';

describe.skipIf(swiftShaderEnvironment === undefined)(title, () => {
  let result: WebgpuResult;
  beforeAll(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ofakit-webgpu-'));
    const file = join(folder, 'result.json');
    const script = packagePath('test/support/webgpuProcess.ts');
    await promisify(execFile)(process.execPath, ['--import', 'tsx', script, file], {
      env: { ...process.env, ...swiftShaderEnvironment },
    });
    result = JSON.parse(await readFile(file, 'utf8')) as WebgpuResult;
    await rm(folder, { recursive: true });
  }, 300_000);

  it.each(operationCases.map(({ name }) => name))('%s', (name) => {
    const { outputs } = result.cases.find((testCase) => testCase.name === name)!;
    expect(outputs.length).toBeGreaterThan(0);
    for (const { difference, scale } of outputs) expect(difference).toBeLessThanOrEqual(1e-5 * scale + 1e-6);
  });

  it('says which operators it leaves to the processor, each once in a runtime', () => {
    const operators = result.told.map((message) => /^(\w+) runs on the CPU, /.exec(message)?.[1]);
    expect([...new Set(operators)].sort()).toEqual(WITHOUT_KERNEL);
    // Once for the conformance run, and once for the training, whose loss needs it.
    expect(operators.filter((operator) => operator === 'LogSoftmax')).toHaveLength(2);
  });

  it('trains with the losses of the processor', () => {
    const { webgpu, cpu } = result.losses;
    expect(webgpu.length).toBeGreaterThanOrEqual(4);
    expect(webgpu).toHaveLength(cpu.length);
    webgpu.forEach((loss, i) => expect(Math.abs(loss - cpu[i]!)).toBeLessThan(1e-4 * cpu[i]!));
  });
});
