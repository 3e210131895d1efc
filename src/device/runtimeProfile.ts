/** The profile that ONNX Runtime writes of a session's runs: a list of events, as JSON. */
import { z } from 'zod';

/** Events of kernels have these; others have none of them. */
const profileSchema = z.array(
  z.looseObject({
    args: z.looseObject({ provider: z.string().optional(), op_name: z.string().optional() }).optional(),
  }),
);

/** Operator types that a profile of the runtime says were run by the CPU provider, one for each node. */
export function cpuOperatorsOfProfile(text: string): string[] {
  return profileSchema
    .parse(JSON.parse(text))
    .filter(({ args }) => args?.provider === 'CPUExecutionProvider')
    .map(({ args }) => args?.op_name ?? 'unknown');
}
