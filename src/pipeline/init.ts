/** `--init`: what a training starts from. */
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import type { SearchSpace } from '../space/space.js';
import { decodeSafetensors } from '../supernet/safetensors.js';
import { startFrom, type StartingWeights } from '../supernet/startFrom.js';
import { readBytes } from '../util/files.js';
import { openRun } from './run.js';

export interface InitialWeights extends StartingWeights {
  /** Of the file that they came from. */
  readonly sha256: string;
}

/**
 * The weights of a run, trained or imported, or of a safetensors file with the names of the space's tensors. With another
 * number of classes the classifier is initialised from the seed. Throws UserError where there are none or they do not fit
 * the space, listing the tensors.
 */
export async function openInitialWeights(
  space: SearchSpace,
  path: string,
  seed: number,
): Promise<InitialWeights> {
  if (statSync(path, { throwIfNoEntry: false })?.isFile() === true) {
    const bytes = await readBytes(path);
    const { tensors } = decodeSafetensors(bytes, path);
    return {
      ...startFrom(space, tensors, seed, path),
      sha256: createHash('sha256').update(bytes).digest('hex'),
    };
  }
  const run = await openRun(path);
  return { ...startFrom(space, run.weights, seed, path), sha256: run.weightsSha256 };
}
