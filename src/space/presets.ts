/** Search spaces by name: the folders of supernets/, or a file of one's own. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { unknownName } from '../util/errors.js';
import { readJson } from '../util/files.js';
import { packagePath } from '../util/scripts.js';
import { createSpace, type SearchSpace, type SpaceOverrides } from './space.js';

const FILE = 'space.json';

/** Names that `loadSpace` knows, sorted. `folder`: where their folders are. */
export function listSpaces(folder = packagePath('supernets')): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => existsSync(join(folder, name, FILE)))
    .sort();
}

/**
 * A space by its name, or from a file (anything with a path separator or ending in `.json`). Throws UserError for an
 * unknown name (listing the known ones), a file that cannot be read, and a definition with a mistake.
 */
export async function loadSpace(
  nameOrPath: string,
  overrides: SpaceOverrides = {},
  folder = packagePath('supernets'),
): Promise<SearchSpace> {
  const known = listSpaces(folder);
  const isPath = /[/\\]|\.json$/.test(nameOrPath);
  if (!isPath && !known.includes(nameOrPath)) throw unknownName('search space', nameOrPath, known);
  const path = isPath ? nameOrPath : join(folder, nameOrPath, FILE);
  return createSpace(await readJson(path, z.unknown()), overrides, path);
}
