/**
 * What an agent and the page it serves say to each other. The page opens a stream (`POST /browser/tabs/ID`, answered by
 * lines of JSON for as long as the page lives) and tells events by requests of their own (`POST /browser/tabs/ID/events`).
 * Both sides check what arrives with these schemas.
 */
import { z } from 'zod';
import { protocolSchema } from '../protocol.js';
import { runtimeSettingsSchema } from '../settings.js';
import { measureEventSchema } from '../transport.js';

/** The agent sends an empty line so often; a stream that is silent for three times as long is dead. */
export const PING_MS = 5000;

/** Ends up in log lines: no control characters. */
const text = z
  .string()
  .max(500)
  .regex(/^\P{Cc}*$/u, 'must not have control characters');

/** The device as its browser describes it. What it runs on is known to the agent, which serves the runtime. */
export const tabDeviceSchema = z.strictObject({
  os: text,
  arch: text,
  /** Name and version of the browser. */
  browser: text,
  cores: z.number().int().positive().max(4096),
  /** Adapter of WebGPU; null where there is none. */
  gpu: text.nullable(),
  /** Whether the page is cross-origin isolated: without that no threads and a coarse clock. */
  isolated: z.boolean(),
});
export type TabDevice = z.infer<typeof tabDeviceSchema>;

/** Chosen by the page when it is loaded. */
export const tabIdSchema = z.uuid();

export const helloSchema = z.strictObject({
  device: tabDeviceSchema,
  /** What it is still working on from before the stream broke. */
  attempt: z.uuid().nullable(),
});
export type Hello = z.infer<typeof helloSchema>;

const hash = z.string().regex(/^[0-9a-f]{64}$/);

/** Agent to page. */
export const orderSchema = z.discriminatedUnion('type', [
  /** Nothing to do. */
  z.strictObject({ type: z.literal('wait'), reason: z.string() }),
  /** Begin anew, whatever was being done. Models are at `/browser/models/HASH`. */
  z.strictObject({
    type: z.literal('work'),
    attempt: z.uuid(),
    settings: runtimeSettingsSchema,
    protocol: protocolSchema,
    seed: z.number().int(),
    models: z.array(z.strictObject({ id: z.string(), hash, bytes: z.number().int().nonnegative() })),
    references: z.strictObject({ empty: hash, small: hash, large: hash }),
    /** Folder of the runtime's files on the agent. */
    runtimeUrl: z.string(),
  }),
  /** Go on; events behind number `after` have not arrived. */
  z.strictObject({ type: z.literal('resume'), attempt: z.uuid(), after: z.number().int().nonnegative() }),
]);
export type Order = z.infer<typeof orderSchema>;
export type WorkOrder = Extract<Order, { type: 'work' }>;

/** What a page tells about its work: events of the device, and that its worker broke. */
export const tabEventSchema = z.discriminatedUnion('type', [
  ...measureEventSchema.options,
  z.strictObject({ type: z.literal('lost'), reason: z.string() }),
]);
export type TabEvent = z.infer<typeof tabEventSchema>;

/** A page that lives says so every so often: an empty body instead of a report. */
export const ALIVE_MS = 10_000;

/** `first` is the number of the first event; they are counted from 1 in every attempt. */
export const reportSchema = z.strictObject({
  attempt: z.uuid(),
  first: z.number().int().positive(),
  events: z.array(tabEventSchema).max(1000),
});
export type Report = z.infer<typeof reportSchema>;

/** Answer to a report: how many events of the attempt have arrived; null where the attempt is not wanted any more. */
export const receiptSchema = z.strictObject({ told: z.number().int().nonnegative().nullable() });
