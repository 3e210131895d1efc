/** What makes two latencies comparable. Numbers whose fingerprints differ never share a table. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, cpus, platform, release, arch, version as osVersion } from 'node:os';
import { z } from 'zod';
import { machineSchema } from './machine.js';
import { runtimeSettingsSchema, type RuntimeSettings } from './settings.js';

export const fingerprintSchema = z.strictObject({
  ...machineSchema.shape,
  /** As they took effect: `pin` is null where the system could not bind the process. */
  settings: runtimeSettingsSchema,
});
export type DeviceFingerprint = z.infer<typeof fingerprintSchema>;

/** Object keys in order, so that equal content gives equal text. */
function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, canonical(inner)]));
}

/** Hash of the whole fingerprint, 16 hexadecimal digits. */
export function deviceKey(fingerprint: DeviceFingerprint): string {
  return createHash('sha256')
    .update(JSON.stringify(canonical(fingerprint)))
    .digest('hex')
    .slice(0, 16);
}

/** Hash that names a model's content. */
export function modelHash(onnx: Uint8Array): string {
  return createHash('sha256').update(onnx).digest('hex');
}

/** `cores: 2 (4)`, one line a difference; empty for equal fingerprints. */
export function fingerprintDifferences(a: DeviceFingerprint, b: DeviceFingerprint): string[] {
  const flat = (fingerprint: DeviceFingerprint): Map<string, string> => {
    const { settings, ...rest } = fingerprint;
    return new Map(
      Object.entries({ ...rest, ...settings }).map(([k, v]) => [k, JSON.stringify(canonical(v))]),
    );
  };
  const right = flat(b);
  return [...flat(a)]
    .filter(([key, value]) => right.get(key) !== value)
    .map(([key, value]) => `${key} ${value} instead of ${right.get(key) ?? 'nothing'}`);
}

/** Version of the installed runtime, without loading it. */
function runtimeVersion(): string {
  const path = createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
  return z.object({ version: z.string() }).parse(JSON.parse(readFileSync(path, 'utf8'))).version;
}

/** Fingerprint of this machine with the settings that take effect; `gpu` where the provider computes on one. */
export function localFingerprint(settings: RuntimeSettings, gpu?: string): DeviceFingerprint {
  return {
    ...(gpu === undefined ? {} : { gpu }),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    os: `${platform()} ${osVersion()}`,
    kernel: release(),
    arch: arch(),
    host: `node ${process.version}`,
    runtime: `onnxruntime-node ${runtimeVersion()}`,
    timer: 'wall',
    settings,
  };
}
