/** All kinds of data sets: add a line to add one. */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { UserError, unknownName } from '../util/errors.js';
import type { Dataset, DatasetDefinition, DatasetOptions, DatasetSource } from './dataset.js';
import { cifar10 } from './sources/cifar10.js';
import { fashionMnist } from './sources/fashionMnist.js';
import { imageFolder } from './sources/imageFolder.js';
import { mnist } from './sources/mnist.js';

const all = [mnist, fashionMnist, cifar10, imageFolder];

/** Data sets by name. */
export const datasets: ReadonlyMap<string, DatasetDefinition> = new Map(
  all.map((definition) => [definition.name, definition]),
);

/** Of all images, where 0.15 are test images: some must be left to train on. */
const MOST_VALIDATION = 0.8;

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

/**
 * `NAME`, `NAME:PATH` or the path of a folder of images; the path becomes absolute. Throws UserError for an unknown name (listing those known) and
 * for a path that is no folder.
 */
export function parseDatasetSpec(spec: string, options: DatasetOptions = {}): DatasetSource {
  const colon = spec.indexOf(':');
  const name = colon < 0 ? spec : spec.slice(0, colon);
  const known = datasets.has(name);
  if (!known && !isFolder(spec)) {
    if (colon < 0 && /[\\/]/.test(spec)) {
      throw new UserError(`Cannot open data set ${spec}: there is no such folder`);
    }
    const { message } = unknownName('data set', name, [...datasets.keys()]);
    const there = statSync(spec, { throwIfNoEntry: false }) !== undefined;
    throw new UserError(
      `${message}; and ${there ? `"${spec}" is a file, not a folder` : `there is no folder "${spec}" in ${process.cwd()}`}; give the path of a folder of images, or NAME:FOLDER`,
    );
  }
  const path = known ? (colon < 0 ? undefined : spec.slice(colon + 1)) : spec;
  if (path !== undefined && !isFolder(path)) {
    throw new UserError(`Cannot open data set "${name}": there is no folder "${path}"`);
  }
  const { validationFraction = 0.1 } = options;
  if (!(validationFraction > 0 && validationFraction <= MOST_VALIDATION)) {
    throw new RangeError(
      `Cannot open data set "${name}": validationFraction must be above 0 and at most ${MOST_VALIDATION}: current value is ${validationFraction}`,
    );
  }
  return {
    name: known ? name : imageFolder.name,
    // A run that keeps it is opened from other folders, too.
    ...(path === undefined ? {} : { path: resolve(path) }),
    splitSeed: options.splitSeed ?? 0,
    ...(known && name !== imageFolder.name ? {} : { splitRule: 'name' as const }),
    validationFraction,
    ...(options.validationFraction === undefined ? {} : { validationOfAll: validationFraction }),
    onCorrupt: options.onCorrupt ?? 'fail',
    ...(options.channels === undefined ? {} : { channels: options.channels }),
  };
}

/**
 * Opens a data set from what the command line takes (`mnist`, `cifar10:PATH`, a folder of images), or from the
 * `source` of one opened before, which brings its own options. Throws UserError naming the file that is missing,
 * truncated or wrong.
 */
export async function openDataset(
  spec: string | DatasetSource,
  options: DatasetOptions = {},
): Promise<Dataset> {
  const source = typeof spec === 'string' ? parseDatasetSpec(spec, options) : spec;
  const definition = datasets.get(source.name);
  if (definition === undefined) throw unknownName('data set', source.name, [...datasets.keys()]);
  return definition.open(source);
}
