/** Where a run stands: all that resuming needs beside the tensors, since chance is derived from seed and step. */
import { z } from 'zod';
import { tensorFileName } from '../supernet/checkpoint.js';
import { scheduleSchema } from './schedule.js';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in hexadecimal');

export const positionSchema = z.strictObject({
  format: z.literal('ofakit.training/1'),
  /** The whole schedule, so that a run means the same whatever becomes of the preset. */
  schedule: scheduleSchema,
  seed: z.number().int(),
  epochsScale: z.number().positive(),
  batchSize: z.number().int().positive(),
  stepsPerEpoch: z.number().int().positive(),
  /** SHA-256 of the file that the first weights came from; null where they were initialised from the seed. */
  init: sha256.nullable().default(null),
  /** Steps done, of the whole run. */
  step: z.number().int().nonnegative(),
  totalSteps: z.number().int().positive(),
  /** Steps since the last line of metrics, and the sum of their losses: the next line is their mean. */
  unreported: z
    .strictObject({ steps: z.number().int().nonnegative(), loss: z.number() })
    .default({ steps: 0, loss: 0 }),
  /** Weights that teach, in the same folder; null before the first phase that needs them. */
  teacher: z.strictObject({ file: tensorFileName, sha256: z.string() }).nullable(),
});
export type Position = z.infer<typeof positionSchema>;

/** What of a position a run is defined by; the rest moves. */
export type RunSettings = Omit<Position, 'format' | 'step' | 'unreported' | 'teacher'>;

/** Stands in place of a position where a supernet was imported: there is no training to go on with. */
export const importedPositionSchema = z.strictObject({
  format: z.literal('ofakit.imported/1'),
  /** Whose names and layout the file had. */
  from: z.literal('ofa-pytorch'),
  /** Name of the file, without its folder. */
  file: z.string(),
  sha256,
});
export type ImportedPosition = z.infer<typeof importedPositionSchema>;
