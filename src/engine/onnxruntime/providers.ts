/** Execution providers to train and evaluate on, and what they leave to the processor. */
import type { InferenceSession } from 'onnxruntime-node';
import { GraphBuilder } from '../../graph/graph.js';
import { activation } from '../../graph/operations/activation.js';
import { onnxTarget } from '../../lowering/onnx.js';
import { onnx } from '../../lowering/onnxProto.js';
import type { Logger } from '../../util/logger.js';
import type { NodeTime } from './profile.js';
import type { Provider } from './providerName.js';
import type { Runtime } from './runtime.js';

/** Creates a session on the provider and releases it. Throws the runtime's error where that does not work. */
export async function tryProvider(runtime: Runtime, provider: Provider): Promise<void> {
  const b = new GraphBuilder();
  b.output('y', activation(b, b.input('x', [1]), 'relu'));
  // What goes wrong is in the error; the library would print it as well. It reads this before its first session only.
  runtime.env.logLevel = 'fatal';
  const session = await runtime.InferenceSession.create(onnxTarget.lower(b.build()), {
    executionProviders: [provider],
    logSeverityLevel: 4,
  });
  await session.release();
}

/**
 * How the provider is to run a model. WebGPU of 1.30 computes transposed convolutions with a channel multiplier wrongly with
 * channels last, which is its default, and has no kernel for pools that tell where their maxima are, but says so only when
 * they run.
 */
export function providerConfig(
  provider: Provider,
  model: Uint8Array,
): InferenceSession.ExecutionProviderConfig {
  if (provider !== 'webgpu') return provider;
  const nodes = onnx.ModelProto.decode(model).graph?.node ?? [];
  const onCpu = nodes.filter(({ opType, output }) => opType === 'MaxPool' && (output?.length ?? 0) > 1);
  return {
    name: provider,
    preferredLayout: 'NCHW',
    // The runtime refuses an empty list.
    ...(onCpu.length === 0 ? {} : { forceCpuNodeNames: onCpu.map(({ name }) => name!) }),
  };
}

/** Tells, once for every ONNX operator, what runs on the processor although another provider was asked for. */
export class FallbackReport {
  private readonly told = new Set<string>();

  constructor(
    private readonly provider: Provider,
    private readonly logger: Logger,
  ) {}

  add(nodes: readonly NodeTime[]): void {
    for (const opType of fallbacks(this.provider, nodes)) {
      if (this.told.has(opType)) continue;
      this.told.add(opType);
      this.logger.warn(
        `${opType} runs on the CPU, wholly or in part: provider "${this.provider}" lacks a kernel for it`,
      );
    }
  }
}

/** ONNX operators of nodes that the processor ran in place of the provider, each once; copies between the two aside. */
export function fallbacks(provider: Provider, nodes: readonly NodeTime[]): string[] {
  if (provider === 'cpu') return [];
  const left = nodes.filter((node) => node.provider === 'CPUExecutionProvider');
  return [...new Set(left.map(({ opType }) => opType))].filter((opType) => !opType.startsWith('Memcpy'));
}
