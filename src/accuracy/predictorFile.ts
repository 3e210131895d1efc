/**
 * Fitted predictors as files: safetensors with float32 tensors, and in its metadata `format`, `predictor` (name),
 * `encoding`, `space` (name), `weightsSha256` and `dataSha256` (of what it was fitted on), `doubt` (why its
 * predictions mean little, where they do), `labels` (JSON list: what each place of the encoding means) and `settings` (JSON object).
 */
import { z } from 'zod';
import type { Engine } from '../engine/engine.js';
import type { SearchSpace } from '../space/space.js';
import { readSafetensors, writeSafetensors } from '../supernet/safetensors.js';
import { UserError } from '../util/errors.js';
import { parseJson, validate } from '../util/files.js';
import { createEncoder } from './encoding.js';
import { accuracyPredictorByName } from './predictors/index.js';
import type { AccuracyPredictor } from './predictor.js';

const metadataSchema = z.looseObject({
  format: z.literal('ofakit.accuracy-predictor/1'),
  predictor: z.string(),
  encoding: z.string(),
  space: z.string(),
  labels: z.string(),
  settings: z.string(),
  weightsSha256: z.string().optional(),
  dataSha256: z.string().optional(),
  doubt: z.string().optional(),
});
/** What a predictor's accuracies were measured with; absent where that is not known, as in older files. */
export interface PredictorOrigin {
  readonly weightsSha256?: string | undefined;
  readonly dataSha256?: string | undefined;
  /** What was said of it when it was fitted, where its predictions mean little. */
  readonly doubt?: string | undefined;
}

const settingsSchema = z.record(z.string(), z.union([z.number(), z.string()]));

/** `encoding`: the name that the predictor's encoder was made with. Written atomically. Throws UserError. */
export async function savePredictor(
  path: string,
  predictor: AccuracyPredictor,
  space: SearchSpace,
  encoding: string,
  { weightsSha256, dataSha256, doubt }: PredictorOrigin = {},
): Promise<void> {
  const { tensors, settings } = predictor.state();
  await writeSafetensors(path, tensors, {
    format: 'ofakit.accuracy-predictor/1',
    predictor: predictor.name,
    encoding,
    space: space.name,
    ...(weightsSha256 === undefined ? {} : { weightsSha256 }),
    ...(dataSha256 === undefined ? {} : { dataSha256 }),
    ...(doubt === undefined ? {} : { doubt }),
    labels: JSON.stringify(createEncoder(encoding, space).labels),
    settings: JSON.stringify(settings),
  });
}

/** Predicts exactly what the saved one did. Throws UserError for a damaged file, or one fitted in another space. */
export async function loadPredictor(
  path: string,
  space: SearchSpace,
  engine: Engine,
): Promise<AccuracyPredictor> {
  const { tensors, metadata } = await readSafetensors(path);
  const known = validate(metadata, metadataSchema, path);
  const encoder = createEncoder(known.encoding, space);
  if (known.labels !== JSON.stringify(encoder.labels)) {
    throw new UserError(
      `Cannot use ${path} in space "${space.name}": it was fitted in space "${known.space}", whose choices differ`,
    );
  }
  const settings = parseJson(known.settings, settingsSchema, `${path}, key "settings"`);
  return accuracyPredictorByName(known.predictor).restore({ tensors, settings }, { encoder, engine });
}

/** Throws UserError for a damaged file. */
export async function readPredictorOrigin(path: string): Promise<PredictorOrigin> {
  const { metadata } = await readSafetensors(path);
  const { weightsSha256, dataSha256, doubt } = validate(metadata, metadataSchema, path);
  return { weightsSha256, dataSha256, doubt };
}
