/** The search space of a run. Loads neither weights nor a runtime. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { SearchSpace } from '../space/space.js';
import { CHECKPOINT_FILE, readCheckpointSpace } from '../supernet/checkpoint.js';
import { UserError } from '../util/errors.js';

/** Throws UserError where the folder holds no supernet. */
export function checkRunThere(folder: string): void {
  if (existsSync(join(folder, CHECKPOINT_FILE))) return;
  throw new UserError(
    `Cannot open ${folder}: there is no supernet in it; train one with "ofa train --out ${folder}"`,
  );
}

/** Throws UserError where the folder holds no supernet, or a damaged one. */
export async function readRunSpace(folder: string): Promise<SearchSpace> {
  checkRunThere(folder);
  return readCheckpointSpace(folder);
}
