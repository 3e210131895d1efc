/** A data set as a run sees it: the same images under the run's labels, normalisation and splits. */
import { SPLITS, type Dataset, type Normalisation, type Split } from './dataset.js';

export interface DatasetView {
  /** Names that labels are indices into; `places` has one for every class of the data set. */
  readonly classes?: { readonly names: readonly string[]; readonly places: readonly number[] };
  readonly normalisation?: Normalisation;
  /** The split of an example, where it is another than the data set's. */
  readonly splitOf?: (split: Split, index: number) => Split;
}

type Place = readonly [split: Split, index: number];

/** Shares the images with `dataset`; what the view does not name stays. */
export function viewDataset(dataset: Dataset, { classes, normalisation, splitOf }: DatasetView): Dataset {
  const moved = splitOf === undefined ? undefined : placesBySplit(dataset, splitOf);
  const place = (split: Split, index: number): Place => {
    if (moved === undefined) return [split, index];
    const found = moved[split][index];
    if (found !== undefined) return found;
    throw new RangeError(
      `Cannot get an example of "${dataset.name}": ${split} index must be in [0, ${moved[split].length}): current value is ${index}`,
    );
  };
  const label = (split: Split, index: number): number => dataset.label(...place(split, index));
  return {
    ...dataset,
    classes: classes?.names ?? dataset.classes,
    splitSize: (split) => moved?.[split].length ?? dataset.splitSize(split),
    label: (split, index) =>
      classes === undefined ? label(split, index) : classes.places[label(split, index)]!,
    exampleName: (split, index) => dataset.exampleName(...place(split, index)),
    ref: (split, index) => dataset.ref(...place(split, index)),
    decode: (split, index) => dataset.decode(...place(split, index)),
    normalisation:
      normalisation === undefined ? () => dataset.normalisation() : () => Promise.resolve(normalisation),
  };
}

/** What comes from another split follows those that were there, so that nothing moves where all stay. */
function placesBySplit(
  dataset: Dataset,
  splitOf: (split: Split, index: number) => Split,
): Readonly<Record<Split, readonly Place[]>> {
  const own: Record<Split, Place[]> = { train: [], validation: [], test: [] };
  const others: Record<Split, Place[]> = { train: [], validation: [], test: [] };
  for (const split of SPLITS) {
    for (let index = 0; index < dataset.splitSize(split); index++) {
      const wanted = splitOf(split, index);
      (wanted === split ? own : others)[wanted].push([split, index]);
    }
  }
  return {
    train: [...own.train, ...others.train],
    validation: [...own.validation, ...others.validation],
    test: [...own.test, ...others.test],
  };
}
