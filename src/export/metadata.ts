/** What an exported file says about itself: ONNX `metadata_props`, every value JSON. Documented in docs/formats.md. */
import { z } from 'zod';
import { architectureFileSchema } from '../space/architecture.js';
import { parseJson } from '../util/files.js';
import { packageVersion } from '../util/scripts.js';
import { nameSchema } from '../util/names.js';

/** Keys of the properties. */
export const METADATA_KEYS = {
  /** The form of architecture files: `{"image_size":160,"ks":[...],"e":[...],"d":[...]}`. */
  architecture: 'ofakit.architecture',
  /** `{"name","overrides":{"width","classes","imageSizes"}}`. */
  space: 'ofakit.space',
  /** Names in the order of the logits. */
  classes: 'ofakit.classes',
  /** `{"mean","std"}` a channel: the input is `(pixel / 255 - mean) / std`. */
  normalisation: 'ofakit.normalisation',
  /** `{"top1","split","dataset"}`, `top1` between 0 and 1. */
  accuracy: 'ofakit.accuracy',
  /** `[{"device","latencyMs","batch"}]`. */
  latency: 'ofakit.latency',
  /** SHA-256 of weights and operators (`contentSha256`): not part of `ModelMetadata`, as `seal` adds it. */
  sha256: 'ofakit.sha256',
  /** Version of ofakit, as in `producer_version`. */
  version: 'ofakit.version',
} as const;

const channels = z.array(z.number()).nonempty();

const schemas = {
  architecture: architectureFileSchema,
  space: z.strictObject({
    name: nameSchema,
    overrides: z.strictObject({
      width: z.number().positive(),
      classes: z.number().int().positive(),
      imageSizes: z.array(z.number().int().positive()).nonempty(),
    }),
  }),
  classes: z.array(z.string()),
  normalisation: z.strictObject({ mean: channels, std: channels }),
  accuracy: z.strictObject({
    top1: z.number().min(0).max(1),
    split: z.string().optional(),
    dataset: z.string().optional(),
  }),
  latency: z.array(
    z.strictObject({
      device: nameSchema,
      latencyMs: z.number().positive(),
      batch: z.number().int().positive().optional(),
    }),
  ),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in hexadecimal'),
  version: z.string(),
};

export interface ModelMetadata {
  readonly architecture: z.infer<typeof schemas.architecture>;
  readonly space: z.infer<typeof schemas.space>;
  readonly classes?: readonly string[] | undefined;
  readonly normalisation?: { readonly mean: readonly number[]; readonly std: readonly number[] } | undefined;
  readonly accuracy?: z.infer<typeof schemas.accuracy> | undefined;
  readonly latency?: z.infer<typeof schemas.latency> | undefined;
}

/** As `ModelMetadata`, with the version that wrote it; what is not there is undefined. */
export type ReadMetadata = Partial<ModelMetadata> & { readonly version?: string; readonly sha256?: string };

/** The properties to write. */
export function encodeMetadata(metadata: ModelMetadata): Record<string, string> {
  const all: ReadMetadata = { ...metadata, version: packageVersion() };
  return Object.fromEntries(
    Object.entries(METADATA_KEYS)
      .map(([key, name]) => [name, all[key as keyof typeof all]] as const)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, JSON.stringify(value)]),
  );
}

/** The properties of the file `where`; those of others are let pass. Throws UserError for a value of the wrong form. */
export function decodeMetadata(properties: ReadonlyMap<string, string>, where = 'the model'): ReadMetadata {
  const entries: [string, unknown][] = [];
  for (const [key, name] of Object.entries(METADATA_KEYS) as [keyof typeof schemas, string][]) {
    const text = properties.get(name);
    if (text === undefined) continue;
    const schema: z.ZodType = schemas[key];
    entries.push([key, parseJson(text, schema, `${where}, property "${name}"`)]);
  }
  return Object.fromEntries(entries);
}
