/**
 * How a job reaches a device. A transport carries plain data one way and events the other; it knows nothing of tables,
 * and the device knows nothing of search spaces. Another machine or a browser is another transport.
 */
import { z } from 'zod';
import type { Logger } from '../util/logger.js';
import type { DeviceFingerprint } from './fingerprint.js';
import { measurementSchema } from './measurement.js';
import type { DeviceProfile } from './profile.js';
import type { Protocol } from './protocol.js';
import type { RuntimeSettings } from './settings.js';

/** A model with its content. `hash` (SHA-256 of `onnx`) names it wherever the content need not travel. */
export interface ModelPayload {
  readonly id: string;
  readonly hash: string;
  readonly onnx: Uint8Array;
}

/** A unit of work: (models' hashes, device, protocol) -> measurements. Plain data. */
export interface MeasureJob {
  readonly settings: RuntimeSettings;
  readonly protocol: Protocol;
  readonly seed: number;
  readonly models: readonly ModelPayload[];
}

/** What a device tells while it works. Validated on arrival: it comes from another process or machine. */
export const measureEventSchema = z.discriminatedUnion('type', [
  /** Sign of life; `id` is what it begins to work on. */
  z.strictObject({ type: z.literal('step'), id: z.string(), step: z.string() }),
  z.strictObject({ type: z.literal('result'), id: z.string(), measurement: measurementSchema }),
  /** Sign of life of a device that cannot work for the moment (a browser's page is closed or hidden); any other event ends it. */
  z.strictObject({ type: z.literal('paused'), reason: z.string() }),
  /** This model cannot be measured; the others go on. */
  z.strictObject({ type: z.literal('failed'), id: z.string(), reason: z.string() }),
  /** Nothing can be measured on this device. */
  z.strictObject({ type: z.literal('unusable'), reason: z.string() }),
  z.strictObject({ type: z.literal('done') }),
]);
export type MeasureEvent = z.infer<typeof measureEventSchema>;

export interface DeviceConnection {
  readonly fingerprint: DeviceFingerprint;
  /**
   * Carries out one job. Settles when the device is done or lost; resolves to why it was lost (`it did not answer for
   * 60 s`), or undefined. Events are handed over in order. After `signal` aborts, the device stops and it settles.
   */
  run(
    job: MeasureJob,
    onEvent: (event: MeasureEvent) => void,
    signal: AbortSignal | undefined,
  ): Promise<string | undefined>;
  close(): Promise<void>;
}

export interface DeviceTransport {
  /** `transport.kind` of a profile. */
  readonly kind: string;
  /** Reaches the device. Throws UserError where it does not answer or the profile's `transport` is wrong. */
  connect(profile: DeviceProfile, logger: Logger): Promise<DeviceConnection>;
}
