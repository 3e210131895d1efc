/** The fastest lowering that is correct on this machine's CPU. */
import { onnxTarget } from '../../lowering/onnx.js';
import type { LoweringTarget } from '../../lowering/target.js';
import { silentLogger, type Logger } from '../../util/logger.js';
import { probeBlocked } from './probe.js';
import { loadRuntime } from './runtime.js';

let probed: Promise<LoweringTarget> | undefined;

/**
 * The blocked lowering where ONNX Runtime has it, else plain operators, which `logger` is told. Probes once a process
 * (about 50 ms): a machine does not change. Throws UserError where the runtime cannot be loaded.
 */
export function defaultTarget(logger: Logger = silentLogger): Promise<LoweringTarget> {
  probed ??= loadRuntime().then(async (runtime) => {
    const result = await probeBlocked(runtime);
    if ('target' in result) return result.target;
    logger.info(
      `Training with plain operators: ONNX Runtime has no blocked convolutions here (${result.reason})`,
    );
    return onnxTarget;
  });
  return probed;
}
