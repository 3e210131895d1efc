/** How models run on a device, as data that travels with a job: everything beside the device itself that changes the numbers. */
import { z } from 'zod';

const cpuNumber = z.number().int().nonnegative();

/** Settings of the runtime that change the numbers; they travel with a job. */
export const runtimeSettingsSchema = z.strictObject({
  /** ONNX Runtime execution provider and its options: providers.ts has those that are known. */
  provider: z.strictObject({
    name: z.string().min(1),
    options: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).default({}),
    /** Models that run partly on the CPU are measured and say so; without this key they are refused. */
    allowCpuOperators: z.literal(true).optional(),
  }),
  threads: z.number().int().positive(),
  /** Images a run. */
  batch: z.number().int().positive(),
  precision: z.enum(['float32', 'float16', 'int8']).default('float32'),
  optimizationLevel: z.enum(['disabled', 'basic', 'extended', 'layout', 'all']),
  /** Processors that the work is bound to, where the system can do that; null to leave it to the system. */
  pin: z.array(cpuNumber).nonempty().nullable(),
  /** Whether idle threads spin: faster on a dedicated device, ruinous on a shared one. */
  spinning: z.boolean(),
});
export type RuntimeSettings = z.infer<typeof runtimeSettingsSchema>;
