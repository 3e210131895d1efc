/** Which file holds the latency table of a device for a space. */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readTableForQueries, sameBlocks, tablePath } from '../latency/table.js';
import { listSpaces, loadSpace } from '../space/presets.js';
import type { SearchSpace, SpaceFile } from '../space/space.js';
import { UserError } from '../util/errors.js';
import { nameProblem } from '../util/names.js';
import { packagePath } from '../util/scripts.js';

/** Folder of tables in the current folder. */
const OWN_FOLDER = 'latency-tables';

/** The width and the number of classes, in the form that file names give them. */
const suffix = (width: number | undefined, classes: number | undefined): string =>
  (width === undefined ? '' : `-w${width}`) + (classes === undefined ? '' : `-c${classes}`);

/**
 * Where the table of a device and a space is written: `latency-tables/DEVICE/SPACE.json` in the current folder. The name
 * says the width and the number of classes where they are not those of the space that ships under this name
 * (`SPACE-w1.2-c10.json`), or where the shorter name is taken by a table of other blocks. Throws UserError for a damaged
 * table.
 */
export async function ownTablePath(device: string, space: SearchSpace, folder = OWN_FOLDER): Promise<string> {
  const there = (await tablesIn(folder, device, space.name)).find(({ file }) => sameBlocks(file, space.file));
  if (there !== undefined) return there.path;
  const { width, classes } = space.file;
  const shipped = listSpaces().includes(space.name) ? (await loadSpace(space.name)).file : space.file;
  const differing = suffix(
    width === shipped.width ? undefined : width,
    classes === shipped.classes ? undefined : classes,
  );
  const path = tablePath(device, space.name + differing, folder);
  return existsSync(path) ? tablePath(device, space.name + suffix(width, classes), folder) : path;
}

/**
 * A table's file: the given path, or the table of the device in the current folder, else in the package, that is for the
 * blocks of the space. Throws UserError where there is none, naming tables of other widths or classes.
 */
export async function findTable(
  device: string,
  space: SearchSpace,
  given?: string,
  folder = OWN_FOLDER,
): Promise<string> {
  if (given !== undefined) return given;
  const tables = await tablesOf(device, space.name, folder);
  const found = tables.find(({ file }) => sameBlocks(file, space.file));
  if (found !== undefined) return found.path;
  const words = ({ width, classes }: SpaceFile): string => `width ${width} with ${classes} classes`;
  const others = tables.map(({ path, file }) => `${path} is for ${words(file)}`);
  throw new UserError(
    `Cannot find a latency table of device "${device}" for space "${space.name}" of ${words(space.file)}: ` +
      `looked in ${join(folder, device)}${others.length === 0 ? '' : `, where ${others.join(', ')}`}; ` +
      `measure one with "ofa measure --space ${space.name} --device ${device} --whole 30"`,
  );
}

/**
 * The table of another device to learn from: as `findTable`, but one for another width or number of classes serves where
 * there is none for these. Throws UserError where there is none at all.
 */
export async function findSourceTable(
  device: string,
  space: SearchSpace,
  folder = OWN_FOLDER,
): Promise<string> {
  const tables = await tablesOf(device, space.name, folder);
  const found = tables.find(({ file }) => sameBlocks(file, space.file)) ?? tables[0];
  return found?.path ?? findTable(device, space, undefined, folder);
}

/** The tables for the blocks of a space, of all devices, those in `folder` before those of the package; one a device. */
export async function tablesFor(
  space: SearchSpace,
  folder = OWN_FOLDER,
): Promise<{ readonly device: string; readonly path: string }[]> {
  const found = new Map<string, string>();
  for (const root of [folder, packagePath(OWN_FOLDER)]) {
    const devices = existsSync(root)
      ? (await readdir(root, { withFileTypes: true }))
          .filter((entry) => entry.isDirectory() && nameProblem(entry.name) === undefined)
          .map(({ name }) => name)
      : [];
    for (const device of devices.sort()) {
      if (found.has(device)) continue;
      const own = (await tablesIn(root, device, space.name)).find(({ file }) => sameBlocks(file, space.file));
      if (own !== undefined) found.set(device, own.path);
    }
  }
  return [...found].map(([device, path]) => ({ device, path }));
}

/** Tables of a device in `folder` and in the package, for any width and number of classes of a space. */
const tablesOf = async (device: string, space: string, folder: string) =>
  (await Promise.all([tablesIn(folder, device, space), tablesIn(undefined, device, space)])).flat();

/** Tables of a device for any width and number of classes of a space. `folder` undefined: the package's. */
async function tablesIn(
  folder: string | undefined,
  device: string,
  space: string,
): Promise<{ readonly path: string; readonly file: SpaceFile }[]> {
  const ofSpace = tablePath(device, space, folder);
  const inside = join(ofSpace, '..');
  const names = existsSync(inside) ? await readdir(inside) : [];
  const ours = names
    .filter((name) => name.startsWith(space) && /^(-w[\d.]+)?(-c\d+)?\.json$/.test(name.slice(space.length)))
    .sort((a, b) => a.length - b.length);
  return Promise.all(
    ours.map(async (name) => {
      const path = join(inside, name);
      return { path, file: (await readTableForQueries(path)).space };
    }),
  );
}
