/**
 * Splits of examples that have names: which split an example falls into follows from its own name and the seed, so that others
 * may be added or removed without moving it. Names are `CLASS/FILE`: of files that are numbered alike in every class, the same
 * number in all would fall into the same split, and shares would be far from what is wanted.
 *
 * One exception: a class of enough examples that would have none in a split lends it one, the first by hash. Such a loan ends
 * when an example of the split's own arrives; runs keep what they were trained with whatever becomes of it (record.ts).
 */
import { createHash } from 'node:crypto';
import { TEST_OF_ALL, VALIDATION_OF_ALL, type SplitPositions } from './splits.js';

/** What the splits of an example follow from. */
export interface NamedExamples {
  readonly labels: ArrayLike<number>;
  /** Of every example. */
  readonly names: readonly string[];
}

interface Placed {
  readonly position: number;
  /** Uniform in [0, 1): chooses the part. */
  readonly share: number;
  /** Hexadecimal: the order within a part. */
  readonly order: string;
}

function place(position: number, name: string, seed: number): Placed {
  const digest = createHash('sha256')
    .update(`${seed}\0${name.normalize('NFC')}`)
    .digest();
  return { position, share: digest.readUInt32BE(0) / 2 ** 32, order: digest.toString('hex', 8) };
}

/** Parts of the given shares, in order of chance; the rest goes to the first part. */
function deal(
  positions: readonly number[],
  { labels, names }: NamedExamples,
  shares: readonly number[],
  seed: number,
): number[][] {
  const parts: Placed[][] = [[], ...shares.map(() => [])];
  const classes = new Map<number, Placed[]>();
  for (const position of positions) {
    const label = labels[position]!;
    const own = classes.get(label) ?? [];
    own.push(place(position, names[position]!, seed));
    classes.set(label, own);
  }
  for (const group of classes.values()) {
    const own = dealClass(group, shares);
    parts.forEach((part, i) => part.push(...own[i]!));
  }
  return parts.map((part) => part.sort(byOrder).map(({ position }) => position));
}

const byOrder = (a: Placed, b: Placed): number =>
  a.order === b.order ? a.position - b.position : a.order < b.order ? -1 : 1;

function dealClass(group: readonly Placed[], shares: readonly number[]): Placed[][] {
  const parts: Placed[][] = [[], ...shares.map(() => [])];
  for (const example of group) {
    let above = 0;
    const part = shares.findIndex((share) => example.share < (above += share));
    parts[part + 1]!.push(example);
  }
  if (group.length <= shares.length) {
    // Too few to go round: one at least is trained on.
    if (parts[0]!.length === 0 && group.length > 0) lend(parts, 0);
    return parts;
  }
  parts.forEach((part, i) => {
    if (part.length === 0 && (i === 0 || shares[i - 1]! > 0)) lend(parts, i);
  });
  return parts;
}

/** Moves the first example of the largest part. */
function lend(parts: Placed[][], to: number): void {
  const from = parts.reduce((a, b) => (b.length > a.length ? b : a));
  const lent = from.reduce((a, b) => (byOrder(b, a) < 0 ? b : a));
  from.splice(from.indexOf(lent), 1);
  parts[to]!.push(lent);
}

/** About 15 % test, `validationShare` (default 15 %) validation and the rest train of all examples. */
export function splitAllByName(
  examples: NamedExamples,
  seed: number,
  validationShare = VALIDATION_OF_ALL,
): SplitPositions {
  const all = examples.names.map((_, i) => i);
  const [train, validation, test] = deal(all, examples, [validationShare, TEST_OF_ALL], seed);
  return { train: train!, validation: validation!, test: test! };
}

/** Test examples are given; about `validationFraction` of the others becomes validation. */
export function splitTrainByName(
  examples: NamedExamples,
  isTest: (position: number) => boolean,
  validationFraction: number,
  seed: number,
): SplitPositions {
  const all = examples.names.map((_, i) => i);
  const others = all.filter((i) => !isTest(i));
  const [train, validation] = deal(others, examples, [validationFraction], seed);
  const [test] = deal(all.filter(isTest), examples, [], seed);
  return { train: train!, validation: validation!, test: test! };
}
