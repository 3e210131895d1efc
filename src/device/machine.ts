/** What a device is, whatever its settings. A profile may record it, so that another device in its place is found out. */
import { z } from 'zod';

export const machineSchema = z.strictObject({
  cpu: z.string(),
  /** Name and driver; left out where the provider computes on the CPU. */
  gpu: z.string().optional(),
  /** Logical processors this process may use. */
  cores: z.number().int().positive(),
  os: z.string(),
  kernel: z.string(),
  arch: z.string(),
  /** What the runtime runs in: `node v22.1.0`, or a browser. */
  host: z.string(),
  /** `onnxruntime-node 1.30.0`. */
  runtime: z.string(),
  /** Which clock: wall time around a run, from outside the runtime. */
  timer: z.string(),
});
export type Machine = z.infer<typeof machineSchema>;

/** As much of it as a profile records: what is left out may be anything. */
export const identitySchema = machineSchema.partial();
export type DeviceIdentity = z.infer<typeof identitySchema>;

/** `cpu "a" instead of "b"`, one a difference; empty where `machine` is what was recorded. */
export function identityDifferences(identity: DeviceIdentity, machine: Machine): string[] {
  const now = new Map<string, unknown>(Object.entries(machine));
  return Object.entries(identity)
    .filter(([key, value]) => now.get(key) !== value)
    .map(
      ([key, value]) => `${key} ${JSON.stringify(now.get(key) ?? null)} instead of ${JSON.stringify(value)}`,
    );
}
