import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sessionOptions } from '../../src/device/bench.js';
import { fingerprintDifferences } from '../../src/device/fingerprint.js';
import { chosenVulkanDriver } from '../../src/device/gpu.js';
import { measureModels, measureOver } from '../../src/device/measure.js';
import { loadDevice, runtimeSettings, type DeviceProfile } from '../../src/device/profile.js';
import { checkProvider, explainProviderError, providers } from '../../src/device/providers.js';
import { nullModel, blockModel } from '../../src/device/referenceModels.js';
import { cpuOperatorsOfProfile } from '../../src/device/runtimeProfile.js';
import { connectDevice } from '../../src/device/transports.js';
import { loadRuntime } from '../../src/engine/onnxruntime/runtime.js';
import { briefProtocol } from '../support/briefProtocol.js';
import { partlyCpuModel } from '../support/smallModels.js';
import { noSwiftShader, swiftShaderEnvironment } from '../support/swiftShader.js';

async function withProvider(
  name: string,
  options: Record<string, string | number> = {},
): Promise<DeviceProfile> {
  return { ...(await loadDevice('local-cpu')), provider: { name, options } };
}

describe('execution providers', () => {
  it('knows those of the runtime, each with its options', () => {
    expect([...providers.keys()].sort()).toEqual([
      'coreml',
      'cpu',
      'cuda',
      'dml',
      'tensorrt',
      'wasm',
      'webgpu',
    ]);
    const check = (name: string, options: Record<string, string | number | boolean>): void =>
      checkProvider({ name, options }, 'node');
    for (const name of ['cpu', 'webgpu', 'cuda', 'tensorrt', 'coreml', 'dml']) check(name, {});
    check('cuda', { deviceId: 1 });
    check('coreml', { coreMlFlags: 1 });
    check('webgpu', {
      preferredLayout: 'NHWC',
      validationMode: 'disabled',
      storageBufferCacheMode: 'bucket',
    });
    // The runtime ignores these without a word.
    expect(() => check('cpu', { useArena: false })).toThrow(/options of provider "cpu".*useArena/);
    expect(() => check('cuda', { cudnn_conv_algo_search: 'HEURISTIC' })).toThrow(/cudnn_conv_algo_search/);
    expect(() => check('cuda', { deviceId: -1 })).toThrow(/provider "cuda" at "deviceId"/);
    expect(() => check('webgpu', { preferredLayout: 'nchw' })).toThrow(/"preferredLayout"/);
    expect(() => check('xnnpack', {})).toThrow(/Unknown execution provider "xnnpack": known are .*cuda/);
    expect(() => check('wasm', {})).toThrow(/"wasm" in a process: it needs a browser/);
    expect(() => checkProvider({ name: 'cuda', options: {} }, 'browser')).toThrow(/has wasm, webgpu/);
  });

  it('takes in the options that the schemas take, in the runtime itself', async () => {
    const { InferenceSession } = await loadRuntime();
    const settings = runtimeSettings(await loadDevice('local-webgpu'));
    const create = (options: Record<string, string>): Promise<unknown> =>
      InferenceSession.create(
        nullModel(),
        sessionOptions({ ...settings, provider: { name: 'webgpu', options } }, true),
      );
    // Options are read before a GPU is looked for: what a runtime does not know, it says, GPU or not.
    await expect(create({ powerPreference: 'low-power' })).rejects.toThrow(/unrecognized option/);
    for (const options of [
      { preferredLayout: 'NCHW', validationMode: 'basic' },
      { storageBufferCacheMode: 'bucket', uniformBufferCacheMode: 'simple' },
      { queryResolveBufferCacheMode: 'disabled', defaultBufferCacheMode: 'lazyRelease' },
    ]) {
      const said = await create(options).then(
        () => '',
        (error: unknown) => String(error),
      );
      expect(said).not.toMatch(/unrecognized option|Invalid argument/);
    }
  });

  it('refuses a profile with the options of another provider, naming the key', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ofakit-providers-'));
    try {
      const file = join(folder, 'device.json');
      await writeFile(file, JSON.stringify(await withProvider('webgpu', { deviceId: 0 })));
      await expect(loadDevice(file)).rejects.toThrow(/at "provider.options".*deviceId/);
      await writeFile(file, JSON.stringify(await withProvider('cuda', { deviceId: 0 })));
      expect((await loadDevice(file)).provider).toEqual({ name: 'cuda', options: { deviceId: 0 } });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('says what a provider that is not there needs', async () => {
    const { listSupportedBackends } = await loadRuntime();
    const here = listSupportedBackends().filter(({ bundled }) => bundled);
    const elsewhere = ['cuda', 'tensorrt', 'coreml', 'dml'].filter(
      (name) => !here.some((backend) => backend.name === name),
    );
    expect(elsewhere.length).toBeGreaterThan(0);
    for (const name of elsewhere) {
      await expect(connectDevice(await withProvider(name)), name).rejects.toThrow(
        `Cannot measure with these settings: execution provider "${name}" is not there: it needs `,
      );
    }
    expect(explainProviderError('webgpu', 'a kernel failed')).toBe('a kernel failed');
  });

  it('names a software driver of Vulkan', () => {
    expect(chosenVulkanDriver({ VK_ICD_FILENAMES: '/x/vk_swiftshader_icd.json' })).toBe(
      'Vulkan driver vk_swiftshader_icd.json',
    );
    expect(chosenVulkanDriver({ VK_ICD_FILENAMES: '' })).toBeUndefined();
  });

  it('reads which operators ran on the CPU out of a profile', () => {
    const event = (provider: string, name: string): unknown => ({ name, args: { provider, op_name: name } });
    const text = JSON.stringify([
      { name: 'model_run', args: {} },
      { name: 'session' },
      event('WebGpuExecutionProvider', 'Relu'),
      event('CPUExecutionProvider', 'Det'),
    ]);
    expect(cpuOperatorsOfProfile(text)).toEqual(['Det']);
    expect(() => cpuOperatorsOfProfile('{}')).toThrow();
  });
});

const title = swiftShaderEnvironment === undefined ? noSwiftShader : 'WebGPU on SwiftShader';

describe.skipIf(swiftShaderEnvironment === undefined)(title, () => {
  const before = { ...process.env };
  beforeAll(() => void Object.assign(process.env, swiftShaderEnvironment));
  afterAll(() => {
    process.env = before;
  });

  it('measures what runs on it, and refuses what runs partly on the CPU, naming the operators', async () => {
    const profile = await loadDevice('local-webgpu');
    const connection = await connectDevice(profile);
    expect(connection.fingerprint.gpu).toBe('Vulkan driver vk_swiftshader_icd.json');
    const failures: Record<string, string> = {};
    const results = await measureOver(
      connection,
      profile,
      [
        { id: 'block', onnx: blockModel(28) },
        { id: 'less', onnx: nullModel() },
        { id: 'partly', onnx: partlyCpuModel() },
      ],
      briefProtocol,
      { onFailure: (id, reason) => void (failures[id] = reason) },
    );
    await connection.close();
    expect([...results.keys()].sort()).toEqual(['block', 'less']);
    expect(failures).toEqual({
      partly: expect.stringMatching(
        /^execution provider "webgpu" leaves operators .* to the CPU: Det;/,
      ) as string,
    });
    const { latencyMs, cpuOperators, firstRunMs } = results.get('block')!;
    expect(cpuOperators).toBeUndefined();
    // A clock that stopped when the work was handed over would hardly see a difference.
    expect(latencyMs).toBeGreaterThan(2 * results.get('less')!.latencyMs);
    expect(firstRunMs).toBeGreaterThan(0);
  });

  it('measures it where the profile allows it, and says which operators; that is another device', async () => {
    const profile = await loadDevice('local-webgpu');
    const lenient: DeviceProfile = {
      ...profile,
      provider: { ...profile.provider, allowCpuOperators: true },
    };
    const results = await measureModels(lenient, [{ id: 'partly', onnx: partlyCpuModel() }], briefProtocol);
    expect(results.get('partly')!.cpuOperators).toEqual(['Det']);
    const strict = (await connectDevice(profile)).fingerprint;
    const other = (await connectDevice(lenient)).fingerprint;
    expect(fingerprintDifferences(strict, other).join()).toContain('allowCpuOperators');
  });
});
