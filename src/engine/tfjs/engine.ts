/** Graphs on TensorFlow.js: a second, independent runtime, and the way to NVIDIA GPUs by its native packages. */
import { silentLogger } from '../../util/logger.js';
import type { Engine } from '../engine.js';
import { loadTensorFlow } from './load.js';
import type { TfjsOptions } from './options.js';
import { TfjsProgram } from './program.js';

/** Throws UserError where TensorFlow.js is not installed or does not work here, saying what to install. */
export async function createTfjsEngine({
  logger = silentLogger,
  ...options
}: TfjsOptions = {}): Promise<Engine> {
  const { tf, name, native } = await loadTensorFlow(options);
  const slow = native ? '' : ': JavaScript alone, on one thread; native packages are many times faster';
  logger.info(`Computing with ${name}${slow}`);
  return {
    name: `tensorflow.js (${name})`,
    // Asynchronous to reject, not throw, where an operation has no rule.
    compile: async (graph) => Promise.resolve(new TfjsProgram(tf, graph)),
    dispose: () => Promise.resolve(),
  };
}
