/** A folder of image files: CLASS/IMAGE, or {train, val, test}/CLASS/IMAGE. */
import { resolve } from 'node:path';
import { UserError } from '../../util/errors.js';
import { policyNamed } from '../augment/policy.js';
import type { Size } from '../augment/image.js';
import { createDataset } from '../baseDataset.js';
import type { DatasetDefinition } from '../dataset.js';
import { DecodeError, decodeImage, imageSize } from '../decodeImage.js';
import { IgnoredCollector } from '../ignoredFiles.js';
import { READABLE_FORMS } from '../imageForms.js';
import type { FileStore } from '../imageStore.js';
import { FolderLayout, type FolderListing } from './folderLayout.js';
import { splitFolder } from './folderSplits.js';
import { FolderWalk } from './folderWalk.js';
import { measureNormalisation } from './measureNormalisation.js';

/** Twice the usual 224: smaller boxes of a larger original would be shrunk to the network's size anyway. */
const MAX_SHORT_SIDE = 512;
/** Images of one common size up to this are treated as CIFAR-like rather than as photos. */
const SMALL_SIDE = 64;
const SIZE_SAMPLE = 24;
const CHECKS_AT_ONCE = 4;

/** Throws UserError naming classes of which no training image can be decoded: such a class cannot be learnt. */
async function checkDecodable(root: string, { classes, train }: FolderListing): Promise<void> {
  const byClass: string[][] = classes.map(() => []);
  train.files.forEach((file, i) => byClass[train.labels[i]!]!.push(file));
  const problems: string[] = [];
  const check = async (label: number): Promise<void> => {
    let first: string | undefined;
    for (const file of byClass[label]!) {
      try {
        await decodeImage(`${root}/${file}`, MAX_SHORT_SIDE, 3);
        return;
      } catch (cause) {
        if (!(cause instanceof DecodeError)) throw cause;
        first ??= `${file}: ${cause.message}`;
      }
    }
    problems[label] = `none of the ${byClass[label]!.length} in ${classes[label]!} can be (${first!})`;
  };
  for (let label = 0; label < classes.length; label += CHECKS_AT_ONCE) {
    const some = Array.from(
      { length: Math.min(CHECKS_AT_ONCE, classes.length - label) },
      (_, i) => label + i,
    );
    await Promise.all(some.map(check));
  }
  const found = problems.filter((problem) => problem !== undefined);
  if (found.length === 0) return;
  const more = found.length > 1 ? `; nor of ${found.length - 1} more classes` : '';
  throw new UserError(
    `Cannot use ${root}: every class needs training images that can be decoded (${READABLE_FORMS}): ${found[0]!}${more}`,
  );
}

/** The one size of a sample of training images, or undefined; reads headers only. */
async function commonSize(root: string, files: readonly string[]): Promise<Size | undefined> {
  const sizes = await Promise.all(files.map((file) => imageSize(`${root}/${file}`)));
  const known = sizes.filter((size) => size !== undefined);
  const first = known[0];
  if (
    first === undefined ||
    known.some(({ height, width }) => height !== first.height || width !== first.width)
  ) {
    return undefined;
  }
  return first;
}

export const imageFolder: DatasetDefinition = {
  name: 'imagefolder',
  summary: `${READABLE_FORMS} files in CLASS/ or {train,val,test}/CLASS/ (imagefolder:PATH, or just PATH)`,
  open: async (source) => {
    if (source.path === undefined) {
      throw new UserError(
        'Cannot open data set "imagefolder": give its folder, e.g. imagefolder:data/flowers',
      );
    }
    const root = resolve(source.path);
    const ignored = new IgnoredCollector();
    const listing = await new FolderLayout(root, await FolderWalk.open(root, ignored), ignored).read();
    await checkDecodable(root, listing);
    const { files, labels, classes, splits } = splitFolder(listing, source);
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
      ignored: ignored.groups,
      remarks: listing.remarks,
    });
  },
};
