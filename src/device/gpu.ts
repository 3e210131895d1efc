/** What this machine's GPU is called, as far as the system tells. */
import { execFile } from 'node:child_process';
import { basename } from 'node:path';
import { promisify } from 'node:util';
import type { ProviderChoice } from './providers.js';

/** `NVIDIA GeForce RTX 3090, 550.54.14`: name and driver; undefined where there is no such GPU or no driver. */
async function nvidiaName(deviceId: number): Promise<string | undefined> {
  try {
    const query = ['--query-gpu=name,driver_version', '--format=csv,noheader', `--id=${deviceId}`];
    const { stdout } = await promisify(execFile)('nvidia-smi', query, { timeout: 10_000 });
    return stdout.trim().split('\n')[0];
  } catch {
    return undefined;
  }
}

/**
 * Where Vulkan was told which driver to take, that driver: software (SwiftShader, lavapipe) looks like a GPU otherwise.
 * The variables are those of the Vulkan loader.
 */
export function chosenVulkanDriver(environment: NodeJS.ProcessEnv): string | undefined {
  const files = [environment['VK_DRIVER_FILES'], environment['VK_ICD_FILENAMES']].find(
    (value) => value !== undefined && value !== '',
  );
  return files === undefined ? undefined : `Vulkan driver ${basename(files)}`;
}

/** Of a provider that computes on a GPU: part of the device's fingerprint. `unknown` where the system does not tell. */
export async function gpuName({ name, options }: ProviderChoice): Promise<string> {
  if (name === 'cuda' || name === 'tensorrt') {
    const nvidia = await nvidiaName(Number(options['deviceId'] ?? 0));
    if (nvidia !== undefined) return nvidia;
  }
  const driver = name === 'webgpu' ? chosenVulkanDriver(process.env) : undefined;
  if (driver !== undefined) return driver;
  // Large, and wanted by few.
  const { graphics } = await import('systeminformation');
  const { controllers } = await graphics();
  const names = controllers.map(({ vendor, model, driverVersion }) =>
    [vendor, model, driverVersion].filter((part) => part !== undefined && part !== '').join(' '),
  );
  return names.length === 0 ? 'unknown' : names.join('; ');
}
