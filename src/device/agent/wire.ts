/**
 * What an agent and its clients say to each other, over HTTP: JSON bodies, and events as lines of JSON. Both sides check
 * what arrives with these schemas. docs/devices.md has the requests one by one.
 */
import { z } from 'zod';
import { fingerprintSchema } from '../fingerprint.js';
import { protocolSchema } from '../protocol.js';
import { runtimeSettingsSchema } from '../settings.js';
import { measureEventSchema } from '../transport.js';

/** Changes when a client and an agent of different versions would misunderstand each other. */
export const WIRE_VERSION = 1;

/** A stream of events that is silent for so long is dead: the agent sends an empty line every third of it. */
export const STREAM_SILENCE_MS = 30_000;

/** SHA-256 of a model, as hexadecimal digits. */
export const hashSchema = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 hexadecimal digits');

/** Chosen by the client, so that a request that is sent again means the same job. */
export const jobIdSchema = z.uuid();

/** Ends up in log lines: no control characters. */
const modelId = z
  .string()
  .min(1)
  .max(300)
  .regex(/^\P{Cc}*$/u, 'must not have control characters');

/** `POST /v1/connect`. Other versions may have other keys: `wire` is looked at first. */
export const connectRequestSchema = z.looseObject({
  wire: z.literal(WIRE_VERSION),
  settings: runtimeSettingsSchema,
});

export const connectAnswerSchema = z.looseObject({
  wire: z.literal(WIRE_VERSION),
  /** Of ofakit on the agent. */
  version: z.string().max(100),
  fingerprint: fingerprintSchema,
  /** What the agent's log said about these settings, e.g. that it cannot pin. */
  notes: z.array(z.string().max(2000)).max(100),
});
export type ConnectAnswer = z.infer<typeof connectAnswerSchema>;

/** `PUT /v1/jobs/ID`. Models are named only: the agent asks for those that it lacks when the job's turn has come. */
export const jobRequestSchema = z.strictObject({
  /** Key of the fingerprint that the client was told: a device that has changed since then is not measured. */
  device: z.string().regex(/^[0-9a-f]{16}$/, 'must be 16 hexadecimal digits'),
  settings: runtimeSettingsSchema,
  protocol: protocolSchema,
  seed: z.number().int(),
  models: z
    .array(z.strictObject({ id: modelId, hash: hashSchema }))
    .min(1)
    .max(256)
    .refine((models) => new Set(models.map(({ id }) => id)).size === models.length, 'ids must differ'),
});
export type JobRequest = z.infer<typeof jobRequestSchema>;

/** What an agent tells about a job: what the device tells, and three things of its own. */
export const agentEventSchema = z.discriminatedUnion('type', [
  ...measureEventSchema.options,
  /** `ahead` jobs are measured before this one. */
  z.strictObject({ type: z.literal('queued'), ahead: z.number().int().nonnegative() }),
  /** It is this job's turn, and these models are not here: `PUT /v1/models/HASH`. */
  z.strictObject({ type: z.literal('send'), hashes: z.array(hashSchema) }),
  /**
   * The last event. `done`: the device went through all models; `lost`: it broke at what the last `step` named;
   * `interrupted`: through no fault of a model (the agent was restarted), what is left may be asked again.
   */
  z.strictObject({
    type: z.literal('end'),
    outcome: z.enum(['done', 'lost', 'interrupted']),
    reason: z.string().nullable(),
  }),
]);
export type AgentEvent = z.infer<typeof agentEventSchema>;

/** `n` counts a job's events from 1, without gaps: `GET /v1/jobs/ID/events?after=N` goes on behind event N. */
export const numberedEventSchema = z.strictObject({
  n: z.number().int().positive(),
  event: agentEventSchema,
});
export type NumberedEvent = z.infer<typeof numberedEventSchema>;

/** Body of every answer that is an error. */
export const errorSchema = z.looseObject({ error: z.string() });
