/** What a browser tells of its device, as the rest of the project knows devices. */
import { UserError } from '../../util/errors.js';
import type { Machine } from '../machine.js';
import { checkProvider, providers } from '../providers.js';
import type { RuntimeSettings } from '../settings.js';
import type { TabDevice } from './messages.js';

export const sameDevice = (a: TabDevice, b: TabDevice): boolean => JSON.stringify(a) === JSON.stringify(b);

/** `Android 14, Chrome 139, 8 cores`. */
export function describeDevice({ os, browser, cores, gpu, isolated }: TabDevice): string {
  return [os, browser, `${cores} cores`, gpu, isolated ? undefined : 'not isolated']
    .filter((part) => part != null && part !== '')
    .join(', ');
}

/** Settings as they take effect there. Threads of WebAssembly come with the runtime's default, which spins. */
export function effectiveSettings(wanted: RuntimeSettings, device: TabDevice): RuntimeSettings {
  const threads = wanted.provider.name === 'wasm' && device.isolated ? wanted.threads : 1;
  return { ...wanted, threads, pin: null, spinning: threads > 1 };
}

/** The machine's part of a fingerprint. The GPU counts where the provider computes on it. */
export function machineOf(device: TabDevice, runtimeVersion: string, provider: string): Machine {
  const onCpu = providers.get(provider)?.onCpu === true;
  return {
    cpu: 'not told by browsers',
    ...(onCpu || device.gpu === null ? {} : { gpu: device.gpu }),
    cores: device.cores,
    os: device.os,
    kernel: 'not told by browsers',
    arch: device.arch,
    host: device.browser,
    runtime: `onnxruntime-web ${runtimeVersion}`,
    timer: `wall, ${device.isolated ? 'cross-origin isolated' : 'not isolated'}`,
  };
}

/** Throws UserError where the device cannot do what is wanted. Says what it does instead of some of it. */
export function checkSettings(
  wanted: RuntimeSettings,
  device: TabDevice,
  warn: (text: string) => void,
): void {
  const refuse = (reason: string): UserError =>
    new UserError(`Cannot measure in this browser (${describeDevice(device)}): ${reason}`);
  checkProvider(wanted.provider, 'browser');
  const { name } = wanted.provider;
  if (wanted.precision !== 'float32') throw refuse(`it measures float32: precision is ${wanted.precision}`);
  if (name === 'webgpu' && device.gpu === null) {
    throw refuse(
      'it has no WebGPU; that needs a page from https or http://localhost, and a GPU the browser trusts',
    );
  }
  if (name === 'wasm' && wanted.threads > device.cores) {
    throw refuse(`threads must be at most ${device.cores}: current value is ${wanted.threads}`);
  }
  if (name === 'wasm' && wanted.threads > 1 && !device.isolated) {
    warn(
      'The page is not cross-origin isolated (that needs https, or http://localhost): measuring with one thread instead of ' +
        `${wanted.threads}`,
    );
  }
  if (wanted.pin !== null) warn('A browser cannot be bound to processors: measuring unbound');
}
