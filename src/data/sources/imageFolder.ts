/** A folder of JPEG, PNG or WebP files: CLASS/IMAGE, or {train, val, test}/CLASS/IMAGE. */
import { readdir } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { UserError } from '../../util/errors.js';
import { fileProblem } from '../../util/files.js';
import { policyNamed } from '../augment/policy.js';
import type { Size } from '../augment/image.js';
import { createDataset } from '../baseDataset.js';
import type { DatasetDefinition } from '../dataset.js';
import type { FileStore } from '../imageStore.js';
import { splitAll, splitTrain, type SplitPositions } from '../splits.js';
import { measureNormalisation } from './measureNormalisation.js';

const EXTENSIONS = new Set(['.jpg', '.jpeg', '.png', '.webp']);
const TRAIN_NAMES = ['train', 'training'];
const VALIDATION_NAMES = ['val', 'valid', 'validation'];
const TEST_NAMES = ['test', 'testing'];

/** Twice the usual 224: smaller boxes of a larger original would be shrunk to the network's size anyway. */
const MAX_SHORT_SIDE = 512;
/** Images of one common size up to this are treated as CIFAR-like rather than as photos. */
const SMALL_SIDE = 64;
const SIZE_SAMPLE = 24;

interface Listing {
  readonly classes: readonly string[];
  /** Paths relative to the root, `/` between parts. */
  readonly files: string[];
  readonly labels: number[];
}

/** Names of a folder's sub-folders or image files, in the same order on every machine. */
async function namesIn(folder: string, what: 'folders' | 'images'): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    throw fileProblem('read', folder, cause);
  });
  return entries
    .filter((entry) => !entry.name.startsWith('.'))
    .filter((entry) =>
      what === 'folders'
        ? entry.isDirectory() || entry.isSymbolicLink()
        : !entry.isDirectory() && EXTENSIONS.has(extname(entry.name).toLowerCase()),
    )
    .map((entry) => entry.name)
    .sort((a, b) => (a < b ? -1 : 1));
}

/** Appends root/part/CLASS/IMAGE; `part` may be empty. Throws UserError for a class unknown to `classes`. */
async function list(root: string, part: string, into: Listing): Promise<void> {
  const prefix = part === '' ? '' : `${part}/`;
  for (const name of await namesIn(`${root}/${part}`, 'folders')) {
    const label = into.classes.indexOf(name);
    if (label < 0) {
      throw new UserError(
        `Cannot use ${root}/${prefix}${name}: a class of the training part is wanted: those are ${into.classes.join(', ')}`,
      );
    }
    for (const file of await namesIn(`${root}/${prefix}${name}`, 'images')) {
      into.files.push(`${prefix}${name}/${file}`);
      into.labels.push(label);
    }
  }
}

async function listFolder(
  root: string,
  validationFraction: number,
  seed: number,
): Promise<{ listing: Listing; splits: SplitPositions }> {
  const top = await namesIn(root, 'folders');
  const find = (names: readonly string[]): string | undefined => top.find((name) => names.includes(name));
  const train = find(TRAIN_NAMES);
  const validation = find(VALIDATION_NAMES);
  const test = find(TEST_NAMES);
  const split = train !== undefined && (validation ?? test) !== undefined;
  const classes = split ? await namesIn(`${root}/${train}`, 'folders') : top;
  if (classes.length < 2) {
    throw new UserError(
      `Cannot use ${root} as a folder of images: at least two class folders are wanted (CLASS/IMAGE or train/CLASS/IMAGE ` +
        `beside test/CLASS/IMAGE): there ${classes.length === 0 ? 'are none' : `is only ${classes.join()}`}`,
    );
  }
  const listing: Listing = { classes, files: [], labels: [] };
  if (!split) {
    await list(root, '', listing);
    checkClasses(root, listing);
    return { listing, splits: splitAll(listing.labels, seed) };
  }
  await list(root, train, listing);
  checkClasses(`${root}/${train}`, listing);
  const firstOther = listing.files.length;
  // A lone validation part is the test part: the usual layout of ImageNet, whose test labels are secret.
  await list(root, test ?? validation!, listing);
  const firstValidation = listing.files.length;
  const ownValidation = test !== undefined && validation !== undefined;
  if (ownValidation) await list(root, validation, listing);
  const splits = splitTrain(
    listing.labels,
    (i) => i >= firstOther,
    ownValidation ? 0 : validationFraction,
    seed,
  );
  if (!ownValidation) return { listing, splits };
  return {
    listing,
    splits: {
      train: splits.train,
      validation: splits.test.filter((i) => i >= firstValidation),
      test: splits.test.filter((i) => i < firstValidation),
    },
  };
}

function checkClasses(folder: string, { classes, labels }: Listing): void {
  const seen = new Set(labels);
  const empty = classes.filter((_, label) => !seen.has(label));
  if (empty.length > 0) {
    throw new UserError(
      `Cannot use ${folder}: every class folder must hold ${[...EXTENSIONS].join(', ')} images: none in ${empty.join(', ')}`,
    );
  }
}

/** The one size of a sample of training images, or undefined; reads headers only. */
async function commonSize(root: string, files: readonly string[]): Promise<Size | undefined> {
  const { default: sharp } = await import('sharp');
  const sizes = await Promise.all(
    files.map((file) =>
      sharp(`${root}/${file}`)
        .metadata()
        // A damaged header has no say here; whoever decodes the image reports it.
        .catch(() => undefined),
    ),
  );
  const known = sizes.filter((size) => size !== undefined);
  const first = known[0];
  if (
    first === undefined ||
    known.some(({ height, width }) => height !== first.height || width !== first.width)
  ) {
    return undefined;
  }
  return { height: first.height, width: first.width };
}

export const imageFolder: DatasetDefinition = {
  name: 'imagefolder',
  summary: 'JPEG, PNG or WebP files in CLASS/ or {train,val,test}/CLASS/ (imagefolder:PATH, or just PATH)',
  open: async (source) => {
    if (source.path === undefined) {
      throw new UserError(
        'Cannot open data set "imagefolder": give its folder, e.g. imagefolder:data/flowers',
      );
    }
    const root = resolve(source.path);
    const { listing, splits } = await listFolder(root, source.validationFraction, source.splitSeed);
    const { files, labels, classes } = listing;
    const size = await commonSize(
      root,
      splits.train.slice(0, SIZE_SAMPLE).map((position) => files[position]!),
    );
    const small = size !== undefined && Math.max(size.height, size.width) <= SMALL_SIDE;
    const images: FileStore = {
      kind: 'files',
      root,
      count: files.length,
      channels: 3,
      maxShortSide: MAX_SHORT_SIDE,
    };
    return createDataset({
      source,
      classes,
      imageSize: small ? size : undefined,
      defaultPolicy: policyNamed(small ? 'small' : 'photo'),
      images,
      labels,
      splits,
      refAt: (position) => ({ position, file: files[position]! }),
      nameAt: (position) => `${root}/${files[position]!}`,
      normalisation: measureNormalisation,
    });
  },
};
