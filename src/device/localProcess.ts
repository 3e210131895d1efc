/**
 * This machine, in a child process of its own: the runtime's threads, allocator and telemetry stay out of ours, a run
 * that blocks its thread does not block us, and a runtime that hangs or crashes can be replaced.
 */
import { fork, spawnSync, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { UserError } from '../util/errors.js';
import { validate } from '../util/files.js';
import { scriptUrl } from '../util/scripts.js';
import type { Executor } from './executor.js';
import { localFingerprint } from './fingerprint.js';
import { gpuName } from './gpu.js';
import { watchMemory } from './memoryLimit.js';
import { runtimeSettings } from './profile.js';
import { protocolByName } from './protocol.js';
import { checkProvider, isCpuProvider } from './providers.js';
import type { RuntimeSettings } from './settings.js';
import { measureEventSchema, type DeviceTransport, type MeasureEvent, type MeasureJob } from './transport.js';

const transportSchema = z.strictObject({ kind: z.literal('local-process') });

/** Whether `taskset` (util-linux) is here and may bind to these processors. */
function canPin(pin: readonly number[]): boolean {
  return spawnSync('taskset', ['-c', pin.join(','), process.execPath, '--version']).status === 0;
}

function start(settings: RuntimeSettings): ChildProcess {
  return fork(fileURLToPath(scriptUrl(import.meta.url, './worker.js')), [], {
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    // Read by the runtime before its first session: no telemetry, no upload thread beside the measurement.
    env: { ...process.env, ORT_DISABLE_TELEMETRY: '1' },
    ...(settings.pin === null
      ? { execArgv: [] }
      : { execPath: 'taskset', execArgv: ['-c', settings.pin.join(','), process.execPath] }),
  });
}

export interface ChildLimits {
  /** Of the child's resident memory. Default: what the system gives it. */
  readonly maxMemoryBytes?: number;
}

/** See `DeviceConnection.run`. */
function runInChild(
  job: MeasureJob,
  onEvent: (event: MeasureEvent) => void,
  signal: AbortSignal | undefined,
  { maxMemoryBytes }: ChildLimits = {},
): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      resolve('it was stopped');
      return;
    }
    const child = start(job.settings);
    let complete = false;
    let lost: string | undefined;
    let problem: Error | undefined;
    let errorText = '';
    const stop = (reason: string): void => {
      lost ??= reason;
      child.kill('SIGKILL');
    };
    const onAbort = (): void => stop('it was stopped');
    const { timeoutMs } = job.protocol;
    const watchdog = setTimeout(() => stop(`it gave no sign of life for ${timeoutMs / 1000} s`), timeoutMs);
    signal?.addEventListener('abort', onAbort, { once: true });
    const unwatch =
      maxMemoryBytes === undefined || child.pid === undefined
        ? undefined
        : watchMemory(child.pid, maxMemoryBytes, () =>
            stop(`it took more than ${Math.round(maxMemoryBytes / 2 ** 20)} MiB of memory`),
          );

    child.stderr?.on('data', (chunk: Buffer) => {
      errorText = (errorText + chunk.toString('utf8')).slice(-2000);
    });
    child.on('message', (message) => {
      if (lost !== undefined || problem !== undefined) return;
      watchdog.refresh();
      try {
        const event = validate(message, measureEventSchema, 'the answer of the measuring process');
        if (event.type === 'done') complete = true;
        onEvent(event);
      } catch (error) {
        problem = error as Error;
        child.kill('SIGKILL');
      }
    });
    child.on('error', (error) => {
      lost ??= error.message;
    });
    child.on('close', (code, killSignal) => {
      clearTimeout(watchdog);
      unwatch?.();
      signal?.removeEventListener('abort', onAbort);
      if (problem !== undefined) reject(problem);
      else if (complete) resolve(undefined);
      else {
        const end =
          killSignal === null ? `it ended with code ${code ?? 'none'}` : `it was ended by ${killSignal}`;
        const said = errorText.trim().split('\n').pop() ?? '';
        resolve(lost ?? (said === '' ? end : `${end}: ${said}`));
      }
    });
    child.send(job, (error) => {
      if (error !== null) lost ??= error.message;
    });
  });
}

/** Throws UserError where the provider is not there or does not work. */
async function probe(settings: RuntimeSettings): Promise<void> {
  const job: MeasureJob = { settings, protocol: protocolByName('quick'), seed: 0, models: [] };
  let problem: string | undefined;
  const lost = await runInChild(
    job,
    (event) => {
      if (event.type === 'unusable') problem = event.reason;
    },
    undefined,
  );
  problem ??= lost;
  if (problem !== undefined) throw new UserError(`Cannot measure with these settings: ${problem}`);
}

/** Providers that were seen to work, with the GPU's name: asked once, as asking disturbs what is being measured. */
const working = new Map<string, Promise<string>>();

/** Throws UserError as `probe`. */
function workingGpu(settings: RuntimeSettings): Promise<string> {
  const key = JSON.stringify(settings.provider);
  const known = working.get(key);
  if (known !== undefined) return known;
  const gpu = probe(settings).then(() => gpuName(settings.provider));
  working.set(key, gpu);
  // What is missing may be installed meanwhile.
  gpu.catch(() => working.delete(key));
  return gpu;
}

/** This machine as it takes jobs. */
export const createLocalExecutor = (limits: ChildLimits = {}): Executor => ({
  async connect(wanted, logger) {
    checkProvider(wanted.provider, 'node');
    let settings = wanted;
    if (settings.pin !== null && !canPin(settings.pin)) {
      logger.warn(`Cannot bind to processors ${settings.pin.join(', ')} with taskset: measuring unbound`);
      settings = { ...settings, pin: null };
    }
    if (settings.precision !== 'float32') {
      throw new UserError(
        `Cannot measure in a local process: it measures float32: precision is ${settings.precision}`,
      );
    }
    const effective = settings;
    const gpu = isCpuProvider(settings.provider.name) ? undefined : await workingGpu(settings);
    return {
      fingerprint: localFingerprint(effective, gpu),
      run: (job, onEvent, signal) => runInChild({ ...job, settings: effective }, onEvent, signal, limits),
      close: () => Promise.resolve(),
    };
  },
});

export const localExecutor: Executor = createLocalExecutor();

export const localProcess: DeviceTransport = {
  kind: 'local-process',
  connect(profile, logger) {
    validate(profile.transport, transportSchema, `the device profile "${profile.name}", key "transport"`);
    return localExecutor.connect(runtimeSettings(profile), logger);
  },
};
