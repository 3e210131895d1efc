/** The engines that a command works with, made and disposed of together. */
import { availableParallelism } from 'node:os';
import type { Engine } from '../engine/engine.js';
import { defaultTarget } from '../engine/onnxruntime/defaultTarget.js';
import { createOnnxRuntimeEngine } from '../engine/onnxruntime/engine.js';
import { ProgramCache } from '../engine/programCache.js';
import { SubnetExecutor } from '../supernet/executor.js';
import type { Logger } from '../util/logger.js';
import type { EngineName } from './engineName.js';

export interface Runtime {
  /** For programs that run often with other weights: training steps, calibration. */
  readonly training: Engine;
  /** For folded networks and predictors: optimised as a deployed model is. May be the same engine. */
  readonly inference: Engine;
  readonly programs: ProgramCache;
  readonly executor: SubnetExecutor;
  dispose(): Promise<void>;
}

export interface RuntimeOptions {
  /** Default `onnxruntime`. */
  readonly engine?: EngineName;
  /** Threads of an operator; the processors of this process unless given. TensorFlow.js: where its package has threads. */
  readonly threads?: number;
  /** Told where the runtime's blocked layout cannot be used, and which package of TensorFlow.js computes. */
  readonly logger?: Logger;
}

type Engines = Pick<Runtime, 'training' | 'inference'>;

const engines: Record<EngineName, (options: RuntimeOptions) => Promise<Engines>> = {
  onnxruntime: async ({ threads = availableParallelism(), logger }) => {
    const target = await defaultTarget(logger);
    const training = await createOnnxRuntimeEngine({ threads, optimization: 'basic', target });
    return { training, inference: await createOnnxRuntimeEngine({ threads }) };
  },
  tfjs: async (options) => {
    const { createTfjsEngine } = await import('../engine/tfjs/engine.js');
    const engine = await createTfjsEngine(options);
    return { training: engine, inference: engine };
  },
};

/** Throws UserError where the engine does not load on this machine, or is not installed. */
export async function createRuntime(options: RuntimeOptions = {}): Promise<Runtime> {
  const { training, inference } = await engines[options.engine ?? 'onnxruntime'](options);
  const programs = new ProgramCache(training);
  return {
    training,
    inference,
    programs,
    executor: new SubnetExecutor(programs),
    dispose: async () => {
      await programs.dispose();
      await training.dispose();
      await inference.dispose();
    },
  };
}
