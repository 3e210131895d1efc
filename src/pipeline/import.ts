/** `ofa import`: a supernet that another implementation trained becomes a run. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { removeDataRecord } from '../data/record.js';
import type { SearchSpace } from '../space/space.js';
import { CHECKPOINT_FILE, saveCheckpoint } from '../supernet/checkpoint.js';
import { TensorMismatch, weightsOf } from '../supernet/import/importWeights.js';
import { inferSpace, type Free } from '../supernet/import/inferSpace.js';
import { readStateDict, type StateDict } from '../supernet/import/stateDict.js';
import { nonFiniteProblem, type SupernetWeights } from '../supernet/weights.js';
import type { ImportedPosition } from '../training/position.js';
import { UserError } from '../util/errors.js';
import { readBytes } from '../util/files.js';
import { withFolderLock } from '../util/lock.js';
import type { Logger } from '../util/logger.js';
import { sizeOf } from '../util/tensor.js';

/** Layouts that can be read: supernets of the reference implementation, saved by PyTorch or as safetensors. */
export const IMPORT_FORMATS = ['ofa-pytorch'] as const;

export interface ImportRequest {
  readonly format: (typeof IMPORT_FORMATS)[number];
  /** The file. */
  readonly weights: string;
  readonly space: SearchSpace;
  /** Whether width and classes are taken from the shapes of the file. Default: neither is. */
  readonly infer?: Free;
  /** Run folder; there must be no supernet in it. */
  readonly folder: string;
  /** Gets a summary of the tensors that do not fit. */
  readonly logger: Logger;
}

export interface ImportedSupernet {
  readonly weightsSha256: string;
  readonly width: number;
  readonly classes: number;
  readonly tensors: number;
  /** Of the file, in all tensors. */
  readonly values: number;
}

/**
 * Writes the checkpoint. What the supernet was trained on is not known, so data sets must be given to whatever needs one.
 * Throws UserError for a file that cannot be read or does not fit the space, and for a
 * folder that has a supernet or that another process writes into.
 */
export function importSupernet(request: ImportRequest): Promise<ImportedSupernet> {
  const purpose = { action: 'import into', instead: 'give another --out' };
  return withFolderLock(request.folder, purpose, () => importAlone(request));
}

/** With the folder's lock. */
async function importAlone({
  format,
  weights: path,
  space: given,
  infer = { width: false, classes: false },
  folder,
  logger,
}: ImportRequest): Promise<ImportedSupernet> {
  if (existsSync(join(folder, CHECKPOINT_FILE)))
    throw new UserError(`Cannot import into ${folder}: there is a supernet in it; give another --out`);
  const bytes = await readBytes(path);
  const found = await readStateDict(bytes, path);
  const space = inferSpace(given, found, infer);
  const weights = fitted(found, space, path, logger);
  const notFinite = nonFiniteProblem(weights);
  if (notFinite !== undefined)
    throw new UserError(`Cannot import ${path}: all weights must be finite numbers: ${notFinite}`);
  const position: ImportedPosition = {
    format: 'ofakit.imported/1',
    from: format,
    file: basename(path),
    sha256: createHash('sha256').update(bytes).digest('hex'),
  };
  // Of a run that was removed from there: names of other classes.
  await removeDataRecord(folder);
  const weightsSha256 = await saveCheckpoint(folder, { space, weights, data: null, position });
  const values = [...weights.values()].reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const { width, classes } = space.parameters;
  return { weightsSha256, width, classes, tensors: weights.size, values };
}

/** Throws TensorMismatch once its kinds were told. */
function fitted(found: StateDict, space: SearchSpace, path: string, logger: Logger): SupernetWeights {
  try {
    return weightsOf(found, space, path);
  } catch (error) {
    if (error instanceof TensorMismatch) for (const line of error.summary) logger.warn(line);
    throw error;
  }
}
