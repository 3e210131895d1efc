/** The engines of a command on ONNX Runtime: on the processor or another provider, profiled or not. */
import { availableParallelism } from 'node:os';
import { explainProviderError } from '../device/providers.js';
import type { Engine } from '../engine/engine.js';
import { defaultTarget } from '../engine/onnxruntime/defaultTarget.js';
import { createOnnxRuntimeEngine, type OnnxRuntimeOptions } from '../engine/onnxruntime/engine.js';
import type { Provider } from '../engine/onnxruntime/providerName.js';
import { FallbackReport, tryProvider } from '../engine/onnxruntime/providers.js';
import { loadRuntime } from '../engine/onnxruntime/runtime.js';
import {
  FallbackSessions,
  plainSessions,
  ProfiledSessions,
  providerSessions,
} from '../engine/onnxruntime/sessions.js';
import { WorkerSessions } from '../engine/onnxruntime/workerSessions.js';
import type { LoweringTarget } from '../lowering/target.js';
import type { StepProfiler } from '../training/profile.js';
import { UserError } from '../util/errors.js';
import { silentLogger, type Logger } from '../util/logger.js';
import type { Lane, Lanes } from './lanes.js';

export interface OnnxRuntimeEngineOptions {
  readonly threads?: number;
  readonly logger?: Logger;
  /** Default `cpu`. */
  readonly provider?: Provider;
  /** Profiles the programs of `training`. */
  readonly profiler?: StepProfiler;
}

export interface OnnxRuntimeEngines {
  readonly training: Engine;
  readonly inference: Engine;
  /** Undefined off the processor. */
  readonly lanes?: Lanes;
}

/** Throws UserError where the runtime does not load, or the provider cannot be used: it says what is missing. */
export async function openOnnxRuntime(options: OnnxRuntimeEngineOptions): Promise<OnnxRuntimeEngines> {
  const { threads = availableParallelism(), logger = silentLogger, provider = 'cpu', profiler } = options;
  if (provider !== 'cpu') return openProvider(provider, threads, logger, profiler);
  const target = await defaultTarget(logger);
  const training = await profiledEngine({ threads, optimization: 'basic', target }, profiler);
  return {
    training,
    inference: await createOnnxRuntimeEngine({ threads }),
    lanes: { threads, open: (own) => openLane(own, target) },
  };
}

/** Engines in a thread of their own. Its sessions are released with it. */
async function openLane(threads: number, target: LoweringTarget): Promise<Lane> {
  const sessions = new WorkerSessions(await loadRuntime());
  return {
    training: await createOnnxRuntimeEngine({ threads, optimization: 'basic', target, sessions }),
    inference: await createOnnxRuntimeEngine({ threads, sessions }),
    close: () => sessions.close(),
  };
}

/** With plain operators, as the blocked ones are the processor's. */
async function openProvider(
  provider: Provider,
  threads: number,
  logger: Logger,
  profiler: StepProfiler | undefined,
): Promise<OnnxRuntimeEngines> {
  const runtime = await loadRuntime();
  try {
    await tryProvider(runtime, provider);
  } catch (cause) {
    throw new UserError(
      `Cannot compute on "${provider}": ${explainProviderError(provider, (cause as Error).message)}`,
      { cause },
    );
  }
  const sessions = providerSessions(plainSessions(runtime), provider);
  const report = new FallbackReport(provider, logger);
  const watched = async (base: OnnxRuntimeOptions): Promise<Engine> => {
    const reporting = await FallbackSessions.open(sessions, report);
    return named(
      provider,
      closing(await createOnnxRuntimeEngine({ ...base, sessions: reporting }), reporting),
    );
  };
  return {
    training:
      profiler === undefined
        ? await watched({ threads, optimization: 'basic' })
        : named(
            provider,
            await profiledEngine({ threads, optimization: 'basic', sessions }, profiler, report),
          ),
    inference: await watched({ threads }),
  };
}

async function profiledEngine(
  options: OnnxRuntimeOptions,
  profiler: StepProfiler | undefined,
  report?: FallbackReport,
): Promise<Engine> {
  if (profiler === undefined) return createOnnxRuntimeEngine(options);
  const base = options.sessions ?? plainSessions(await loadRuntime());
  const sessions = await ProfiledSessions.open(base, report);
  profiler.watch(sessions);
  return closing(await createOnnxRuntimeEngine({ ...options, sessions }), sessions);
}

/** An engine whose sessions are closed with it. */
const closing = (engine: Engine, sessions: { close(): Promise<void> }): Engine => ({
  ...engine,
  dispose: async () => {
    await engine.dispose();
    await sessions.close();
  },
});

const named = (provider: Provider, engine: Engine): Engine => ({
  name: `${engine.name} on ${provider}`,
  compile: (graph, own) => engine.compile(graph, own),
  dispose: () => engine.dispose(),
});
