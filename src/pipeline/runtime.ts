/** The engines that a command works with, made and disposed of together. */
import { availableParallelism } from 'node:os';
import type { Engine } from '../engine/engine.js';
import { createOnnxRuntimeEngine } from '../engine/onnxruntime/engine.js';
import { ProgramCache } from '../engine/programCache.js';
import { SubnetExecutor } from '../supernet/executor.js';

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
}

/** Throws UserError where the runtime does not load on this machine. */
export async function createRuntime({
  threads = availableParallelism(),
}: RuntimeOptions = {}): Promise<Runtime> {
  const training = await createOnnxRuntimeEngine({ threads, optimization: 'basic' });
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
