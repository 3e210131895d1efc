/**
 * Execution providers of ONNX Runtime by name: where they are, which options the runtime really honours (it ignores or
 * refuses all others: session_options_helper.cc of onnxruntime-node 1.30, session-options.ts of onnxruntime-web 1.30), and
 * what to do where they are missing. Add a line to add one.
 */
import { z } from 'zod';
import { UserError, unknownName } from '../util/errors.js';

/** What the runtime runs in. */
export type RuntimeHost = 'node' | 'browser';

export interface ProviderDefinition {
  readonly name: string;
  readonly hosts: readonly RuntimeHost[];
  /** Computes on the threads of the runtime alone, so that nothing can fall back to them. */
  readonly onCpu: boolean;
  readonly options: z.ZodType;
  /** What it needs that npm does not install; the end of a sentence. */
  readonly needs: string;
}

const noOptions = z.strictObject({});
const deviceId = z.strictObject({ deviceId: z.number().int().nonnegative().optional() });
const cacheMode = z.enum(['disabled', 'lazyRelease', 'simple', 'bucket']).optional();

const CUDA_LIBRARIES =
  'linux-x64 with an NVIDIA GPU, its driver, CUDA 12, cuDNN, and the libraries that ' +
  '"node node_modules/onnxruntime-node/script/install.js --onnxruntime-node-install" fetches';

const all: readonly ProviderDefinition[] = [
  { name: 'cpu', hosts: ['node'], onCpu: true, options: noOptions, needs: 'nothing' },
  {
    name: 'wasm',
    hosts: ['browser'],
    onCpu: true,
    options: noOptions,
    needs: 'a browser (ofa agent --browser)',
  },
  {
    name: 'webgpu',
    hosts: ['node', 'browser'],
    onCpu: false,
    options: z.strictObject({
      preferredLayout: z.enum(['NCHW', 'NHWC']).optional(),
      validationMode: z.enum(['disabled', 'wgpuOnly', 'basic', 'full']).optional(),
      storageBufferCacheMode: cacheMode,
      uniformBufferCacheMode: cacheMode,
      queryResolveBufferCacheMode: cacheMode,
      defaultBufferCacheMode: cacheMode,
    }),
    needs:
      'a GPU with a driver for Vulkan (Linux, with libvulkan.so.1), Direct3D 12 (Windows) or Metal (macOS); ' +
      'in a browser, WebGPU and a secure page (https, or http://localhost)',
  },
  { name: 'cuda', hosts: ['node'], onCpu: false, options: deviceId, needs: CUDA_LIBRARIES },
  {
    name: 'tensorrt',
    hosts: ['node'],
    onCpu: false,
    options: deviceId,
    needs: `${CUDA_LIBRARIES}, and TensorRT`,
  },
  {
    name: 'coreml',
    hosts: ['node'],
    onCpu: false,
    // Bits of COREMLFlags, coreml_provider_factory.h.
    options: z.strictObject({ coreMlFlags: z.number().int().nonnegative().max(63).optional() }),
    needs: 'macOS',
  },
  {
    name: 'dml',
    hosts: ['node'],
    onCpu: false,
    options: deviceId,
    needs: 'Windows, with a GPU of DirectX 12',
  },
];

export const providers: ReadonlyMap<string, ProviderDefinition> = new Map(
  all.map((provider) => [provider.name, provider]),
);

export interface ProviderChoice {
  readonly name: string;
  readonly options: Readonly<Record<string, string | number | boolean>>;
}

/** Whether nothing but the runtime's own threads computes. False for names that are not known. */
export function isCpuProvider(name: string): boolean {
  return providers.get(name)?.onCpu === true;
}

/** What is wrong with the options of a provider; undefined where nothing is, or where the provider is not known. */
export function optionsProblem({ name, options }: ProviderChoice): string | undefined {
  const result = providers.get(name)?.options.safeParse(options);
  if (result === undefined || result.success) return undefined;
  const issue = result.error.issues[0]!;
  const where = issue.path.length === 0 ? '' : ` at "${issue.path.join('.')}"`;
  return `provider "${name}"${where}: ${issue.message}`;
}

/** Throws UserError where a runtime of this kind has no such provider, or the options are not its own. */
export function checkProvider(provider: ProviderChoice, host: RuntimeHost): void {
  const definition = providers.get(provider.name);
  if (definition?.hosts.includes(host) !== true) {
    const known = all.filter(({ hosts }) => hosts.includes(host)).map(({ name }) => name);
    if (definition === undefined) throw unknownName('execution provider', provider.name, known);
    throw new UserError(
      `Cannot use execution provider "${provider.name}" in ${host === 'node' ? 'a process' : 'a browser'}: ` +
        `it needs ${definition.needs}; ${host === 'node' ? 'a process' : 'a browser'} has ${known.join(', ')}`,
    );
  }
  const problem = optionsProblem(provider);
  if (problem !== undefined) throw new UserError(`Cannot use the options of ${problem}`);
}

/** What the runtime says where a provider is not installed, or finds nothing to compute on. */
const MISSING =
  /Failed to load shared library|backend not found|Failed to get a WebGPU adapter|requestAdapter|WebGPU is not supported|is unsupported: /i;

/** The runtime's message, or what it means where it says that the provider is not there. */
export function explainProviderError(name: string, message: string): string {
  const definition = providers.get(name);
  if (definition === undefined || !MISSING.test(message)) return message;
  const [line = ''] = message.trim().split('\n');
  const said = line.length > 200 ? `${line.slice(0, 200)}…` : line;
  return `execution provider "${name}" is not there: it needs ${definition.needs} (the runtime said: ${said})`;
}

/** What the runtime says where a model would run partly on the CPU, and `session.disable_cpu_ep_fallback` forbids that. */
export function isCpuFallbackError(message: string): boolean {
  return message.includes('fallback to CPU EP has been explicitly disabled');
}
