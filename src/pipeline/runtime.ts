/** The engines that a command works with, made and disposed of together. */
import { availableParallelism } from 'node:os';
import type { Engine } from '../engine/engine.js';
import { defaultTarget } from '../engine/onnxruntime/defaultTarget.js';
import { createOnnxRuntimeEngine } from '../engine/onnxruntime/engine.js';
import { ProgramCache } from '../engine/programCache.js';
import { SubnetExecutor } from '../supernet/executor.js';
import type { Logger } from '../util/logger.js';

export interface Runtime {
  /** For programs that run often with other weights: training steps, calibration. */
  readonly training: Engine;
  /** For folded networks and predictors: optimised as a deployed model is. */
  readonly inference: Engine;
  readonly programs: ProgramCache;
  readonly executor: SubnetExecutor;
  dispose(): Promise<void>;
}

export interface RuntimeOptions {
  /** Threads of an operator; the processors of this process unless given. */
  readonly threads?: number;
  /** Told where the runtime's blocked layout cannot be used. */
  readonly logger?: Logger;
}

/** Throws UserError where the runtime does not load on this machine. */
export async function createRuntime({
  threads = availableParallelism(),
  logger,
}: RuntimeOptions = {}): Promise<Runtime> {
  const target = await defaultTarget(logger);
  const training = await createOnnxRuntimeEngine({ threads, optimization: 'basic', target });
  const inference = await createOnnxRuntimeEngine({ threads });
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
