/** Splits of a folder of images: its own parts where it has some, the rest by the rule of its source. */
import { UserError } from '../../util/errors.js';
import type { DatasetSource } from '../dataset.js';
import { splitAll, splitTrain, type SplitPositions } from '../splits.js';
import { splitAllByName, splitTrainByName } from '../splitsByName.js';
import type { FolderListing, PartListing } from './folderLayout.js';

/** All images of a folder. */
export interface SplitListing extends PartListing {
  readonly classes: readonly string[];
  readonly splits: SplitPositions;
}

type Rule = Pick<
  DatasetSource,
  'splitRule' | 'splitSeed' | 'validationFraction' | 'validationOfAll' | 'path'
>;

/**
 * The parts one after the other: training images, test images, validation images. Throws UserError for a share of validation
 * images where the folder has its own.
 */
export function splitFolder(
  { classes, train, validation, test, trainFolder }: FolderListing,
  rule: Rule,
): SplitListing {
  // A lone validation part is the test part: the usual layout of ImageNet, whose test labels are secret.
  const tested = test ?? validation;
  if (tested === undefined) return { classes, ...train, splits: divide(train, trainFolder, rule) };
  const ownValidation = test === undefined ? undefined : validation;
  if (ownValidation !== undefined && rule.validationOfAll !== undefined) {
    throw new UserError(
      `Cannot take ${rule.validationOfAll} of the training images of ${rule.path} for validation: the folder has a validation part of its own; leave the share out, or put its images into train/`,
    );
  }
  const parts = [train, tested, ...(ownValidation === undefined ? [] : [ownValidation])];
  const files = parts.flatMap((part) => part.files);
  const labels = parts.flatMap((part) => part.labels);
  const firstOther = train.files.length;
  const validationFraction = ownValidation === undefined ? rule.validationFraction : 0;
  const splits = divide(
    { files, labels },
    trainFolder,
    { ...rule, validationFraction },
    (i) => i >= firstOther,
  );
  if (ownValidation === undefined) return { classes, files, labels, splits };
  const firstValidation = firstOther + tested.files.length;
  return {
    classes,
    files,
    labels,
    splits: {
      train: splits.train,
      validation: splits.test.filter((i) => i >= firstValidation),
      test: splits.test.filter((i) => i < firstValidation),
    },
  };
}

/** `isTest`: where the folder has a part for it. */
function divide(
  listing: PartListing,
  trainFolder: string,
  rule: Rule,
  isTest?: (position: number) => boolean,
): SplitPositions {
  if (rule.splitRule === 'name') return divideByName(listing, trainFolder, rule, isTest);
  // The list that was divided was of other files: those that are read since then must not move them.
  const all = listing.files.map((_, i) => i);
  const before = all.filter((i) => wasRead(listing.files[i]!, trainFolder));
  const since = all.filter((i) => !wasRead(listing.files[i]!, trainFolder));
  const of = (positions: readonly number[]): PartListing => ({
    files: positions.map((i) => listing.files[i]!),
    labels: positions.map((i) => listing.labels[i]!),
  });
  const isTestOf = (positions: readonly number[]) => isTest && ((i: number) => isTest(positions[i]!));
  const old = divideByList(of(before), rule, isTestOf(before));
  const others = divideByName(of(since), trainFolder, rule, isTestOf(since));
  const join = (split: keyof SplitPositions): number[] => [
    ...old[split].map((i) => before[i]!),
    ...others[split].map((i) => since[i]!),
  ];
  return { train: join('train'), validation: join('validation'), test: join('test') };
}

function divideByName(
  { files, labels }: PartListing,
  trainFolder: string,
  { splitSeed, validationFraction, validationOfAll }: Rule,
  isTest?: (position: number) => boolean,
): SplitPositions {
  const skipped = trainFolder === '' ? 0 : trainFolder.length + 1;
  const names = files.map((file) => (file.startsWith(`${trainFolder}/`) ? file.slice(skipped) : file));
  return isTest === undefined
    ? splitAllByName({ labels, names }, splitSeed, validationOfAll)
    : splitTrainByName({ labels, names }, isTest, validationFraction, splitSeed);
}

const divideByList = (
  { labels }: PartListing,
  { splitSeed, validationFraction, validationOfAll }: Rule,
  isTest?: (position: number) => boolean,
): SplitPositions =>
  isTest === undefined
    ? splitAll(labels, splitSeed, validationOfAll)
    : splitTrain(labels, isTest, validationFraction, splitSeed);

/** Whether versions that split by the list read the file: by its ending, right below the folder of its class. */
function wasRead(file: string, trainFolder: string): boolean {
  const folders = trainFolder === '' ? 1 : 2;
  return file.split('/').length === folders + 1 && /\.(jpe?g|png|webp)$/i.test(file);
}
