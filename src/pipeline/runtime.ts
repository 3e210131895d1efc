/** The engines that a command works with, made and disposed of together. */
import type { Engine } from '../engine/engine.js';
import { ProgramCache } from '../engine/programCache.js';
import { timedEngine } from '../engine/timed.js';
import { SubnetExecutor } from '../supernet/executor.js';
import type { StepProfiler } from '../training/profile.js';
import { UsageError } from '../util/errors.js';
import type { Logger } from '../util/logger.js';
import type { EngineName, Provider } from './engineName.js';
import { openOnnxRuntime } from './onnxRuntimeEngines.js';
import type { Lanes } from './lanes.js';

export interface Runtime {
  /** For programs that run often with other weights: training steps, calibration. */
  readonly training: Engine;
  /** For folded networks and predictors: optimised as a deployed model is. May be the same engine. */
  readonly inference: Engine;
  readonly programs: ProgramCache;
  readonly executor: SubnetExecutor;
  /** Undefined where there are none. */
  readonly lanes?: Lanes;
  dispose(): Promise<void>;
}

export interface RuntimeOptions {
  /** Default `onnxruntime`. */
  readonly engine?: EngineName;
  /** What ONNX Runtime computes on. Default `cpu`. */
  readonly provider?: Provider;
  /** What compiled programs may hold between runs, bytes. */
  readonly programBytes?: number;
  /** Told where the time of training steps goes; made for this runtime alone. */
  readonly profiler?: StepProfiler;
  /** Threads of an operator; the processors of this process unless given. TensorFlow.js: where its package has threads. */
  readonly threads?: number;
  /**
   * Told where the runtime's blocked layout cannot be used, which operators a provider leaves to the processor, and which
   * package of TensorFlow.js computes.
   */
  readonly logger?: Logger;
}

type Engines = Pick<Runtime, 'training' | 'inference' | 'lanes'>;

const engines: Record<EngineName, (options: RuntimeOptions) => Promise<Engines>> = {
  onnxruntime: openOnnxRuntime,
  tfjs: async (options) => {
    if (options.provider !== undefined && options.provider !== 'cpu') {
      throw new UsageError(
        `Cannot use --provider ${options.provider} with --engine tfjs: it belongs to --engine onnxruntime`,
      );
    }
    const { createTfjsEngine } = await import('../engine/tfjs/engine.js');
    const engine = await createTfjsEngine(options);
    return { training: engine, inference: engine };
  },
};

/** Throws UserError where the engine does not load on this machine, or is not installed. */
export async function createRuntime(options: RuntimeOptions = {}): Promise<Runtime> {
  const { profiler } = options;
  const { training, inference, lanes } = await engines[options.engine ?? 'onnxruntime'](options);
  const programs = new ProgramCache(
    profiler === undefined ? training : timedEngine(training, profiler.stopwatch),
    options.programBytes,
  );
  return {
    training,
    inference,
    programs,
    ...(lanes === undefined ? {} : { lanes }),
    executor: new SubnetExecutor(programs, profiler?.stopwatch),
    dispose: async () => {
      await programs.dispose();
      for (const engine of new Set([training, inference])) await engine.dispose();
    },
  };
}
