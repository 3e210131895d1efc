/** `ofa import`: a supernet that another implementation trained becomes a run. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { removeDataRecord } from '../data/record.js';
import type { SearchSpace } from '../space/space.js';
import { CHECKPOINT_FILE, saveCheckpoint } from '../supernet/checkpoint.js';
import { importWeights, TensorMismatch } from '../supernet/import/importWeights.js';
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
  /** Run folder; there must be no supernet in it. */
  readonly folder: string;
  /** Gets every tensor that does not fit. */
  readonly logger: Logger;
}

export interface ImportedSupernet {
  readonly weightsSha256: string;
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
  space,
  folder,
  logger,
}: ImportRequest): Promise<ImportedSupernet> {
  if (existsSync(join(folder, CHECKPOINT_FILE)))
    throw new UserError(`Cannot import into ${folder}: there is a supernet in it; give another --out`);
  const bytes = await readBytes(path);
  const weights = await importWeights(bytes, space, path).catch((error: unknown) => {
    if (error instanceof TensorMismatch) for (const problem of error.problems) logger.warn(problem);
    throw error;
  });
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
  return { weightsSha256, tensors: weights.size, values };
}
