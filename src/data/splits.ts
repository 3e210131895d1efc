/** Which examples are for training, for choosing and for final figures. */
import { createRandom } from '../util/random.js';
import type { Split } from './dataset.js';

/** Positions in a list of examples, per split. */
export type SplitPositions = Readonly<Record<Split, readonly number[]>>;

/** Shares where a source has no test part of its own. */
export const VALIDATION_OF_ALL = 0.15;
export const TEST_OF_ALL = 0.15;

/**
 * Positions of every label's examples, dealt out to parts of the given shares, the rest to the first part.
 * A part gets at least one example of each label that has enough to go round. Every part is shuffled, so that a prefix
 * of a split is a random sample of it.
 */
function deal(
  positions: readonly number[],
  labels: ArrayLike<number>,
  shares: readonly number[],
  seed: number,
): number[][] {
  const byLabel = new Map<number, number[]>();
  for (const position of positions) {
    const label = labels[position]!;
    const group = byLabel.get(label);
    if (group === undefined) byLabel.set(label, [position]);
    else group.push(position);
  }
  const parts: number[][] = [[], ...shares.map(() => [])];
  for (const [label, group] of byLabel) {
    const shuffled = createRandom(seed, 'split', label).shuffle(group);
    const enough = group.length > shares.length;
    let taken = 0;
    shares.forEach((share, i) => {
      const wanted = Math.round(share * group.length);
      const count = Math.min(share > 0 && enough ? Math.max(1, wanted) : wanted, group.length - 1 - taken);
      for (const position of shuffled.slice(taken, taken + count)) parts[i + 1]!.push(position);
      taken += count;
    });
    for (const position of shuffled.slice(taken)) parts[0]!.push(position);
  }
  return parts.map((part, i) => createRandom(seed, 'split order', i).shuffle(part.sort((a, b) => a - b)));
}

/** 15 % test, `validationShare` (default 15 %) validation, the rest train of all examples, by class. */
export function splitAll(
  labels: ArrayLike<number>,
  seed: number,
  validationShare = VALIDATION_OF_ALL,
): SplitPositions {
  const all = Array.from(labels, (_, i) => i);
  const [train, validation, test] = deal(all, labels, [validationShare, TEST_OF_ALL], seed);
  return { train: train!, validation: validation!, test: test! };
}

/** Test examples are given; `validationFraction` of the others becomes validation, by class. */
export function splitTrain(
  labels: ArrayLike<number>,
  isTest: (position: number) => boolean,
  validationFraction: number,
  seed: number,
): SplitPositions {
  const all = Array.from(labels, (_, i) => i);
  const [train, validation] = deal(
    all.filter((i) => !isTest(i)),
    labels,
    [validationFraction],
    seed,
  );
  const [test] = deal(all.filter(isTest), labels, [], seed);
  return { train: train!, validation: validation!, test: test! };
}
