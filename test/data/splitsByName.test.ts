import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { splitAllByName, splitTrainByName, type NamedExamples } from '../../src/data/splitsByName.js';
import type { SplitPositions } from '../../src/data/splits.js';

/** Distinct names of each of up to four classes. */
const folders = fc
  .uniqueArray(fc.tuple(fc.integer({ min: 0, max: 3 }), fc.string({ minLength: 1, maxLength: 6 })), {
    minLength: 1,
    maxLength: 120,
    selector: ([label, name]) => `${label}/${name.normalize('NFC')}`,
  })
  .map((list): NamedExamples => ({
    labels: list.map(([label]) => label),
    names: list.map(([, name]) => name),
  }));

/** Split by label and name. */
function bySplit({ labels, names }: NamedExamples, splits: SplitPositions): Map<string, string> {
  return new Map(
    Object.entries(splits).flatMap(([split, positions]) =>
      positions.map((i) => [`${labels[i]}/${names[i]}`, split] as const),
    ),
  );
}

const numbered = (perClass: readonly number[]): NamedExamples => ({
  labels: perClass.flatMap((count, label) => Array.from({ length: count }, () => label)),
  names: perClass.flatMap((count, label) =>
    Array.from({ length: count }, (_, i) => `class ${label}/IMG_${1000 + i}.jpg`),
  ),
});

describe('splitAllByName', () => {
  it('is a partition, and every class that has enough has some in each part', () => {
    fc.assert(
      fc.property(folders, fc.integer({ min: 0, max: 9 }), (examples, seed) => {
        const splits = splitAllByName(examples, seed);
        const all = Object.values(splits)
          .flat()
          .sort((a, b) => a - b);
        expect(all).toEqual(examples.names.map((_, i) => i));
        for (let label = 0; label < 4; label++) {
          const of = (part: readonly number[]): number =>
            part.filter((i) => examples.labels[i] === label).length;
          const n = of(all);
          if (n > 0) expect(of(splits.train)).toBeGreaterThan(0);
          if (n >= 3) expect(Math.min(of(splits.validation), of(splits.test))).toBeGreaterThan(0);
        }
      }),
    );
  });

  it('has shares near 70, 15 and 15 %', () => {
    const { train, validation, test } = splitAllByName(numbered([4000]), 0);
    expect(Math.abs(train.length - 2800)).toBeLessThan(100);
    expect(Math.abs(validation.length - 600)).toBeLessThan(75);
    expect(Math.abs(test.length - 600)).toBeLessThan(75);
  });

  it('moves nothing when examples are added or removed, but for the loans of small classes', () => {
    fc.assert(
      fc.property(
        folders,
        fc.integer({ min: 0, max: 9 }),
        fc.infiniteStream(fc.boolean()),
        (all, seed, kept) => {
          const keep = all.names.map(() => kept.next().value as boolean);
          const some = {
            labels: Array.from(all.labels).filter((_, i) => keep[i]),
            names: all.names.filter((_, i) => keep[i]),
          };
          const before = bySplit(some, splitAllByName(some, seed));
          const after = bySplit(all, splitAllByName(all, seed));
          const moved = [...before].filter(([name, split]) => after.get(name) !== split);
          // A class lends one to each of three parts at most.
          for (let label = 0; label < 4; label++)
            expect(moved.filter(([name]) => name.startsWith(`${label}/`)).length).toBeLessThanOrEqual(3);
        },
      ),
    );
    const [few, more] = [numbered([60, 40]), numbered([90, 70])];
    const after = bySplit(more, splitAllByName(more, 5));
    for (const [name, split] of bySplit(few, splitAllByName(few, 5))) expect(after.get(name)).toBe(split);
  });

  it('knows an example by its name alone: not by its label, place in the list or form of Unicode', () => {
    const examples = numbered([50]);
    const turned = { labels: examples.labels, names: [...examples.names].reverse() };
    expect(bySplit(turned, splitAllByName(turned, 1))).toEqual(
      bySplit(examples, splitAllByName(examples, 1)),
    );
    const other = { ...examples, labels: examples.names.map(() => 3) };
    expect(splitAllByName(other, 1)).toEqual(splitAllByName(examples, 1));
    const forms = (['NFC', 'NFD'] as const).map((form) => ({
      labels: examples.labels,
      names: examples.names.map((name) => `é${name}`.normalize(form)),
    }));
    expect(splitAllByName(forms[0]!, 1)).toEqual(splitAllByName(forms[1]!, 1));
    expect(splitAllByName(examples, 2)).not.toEqual(splitAllByName(examples, 1));
  });

  it('orders by chance, so that a prefix of a split has all classes', () => {
    const examples = numbered([250, 250, 250, 250]);
    for (const part of Object.values(splitAllByName(examples, 0)))
      expect(new Set(part.slice(0, 60).map((i) => examples.labels[i])).size).toBe(4);
  });
});

describe('splitTrainByName', () => {
  it('keeps the given test examples and takes validation from the others', () => {
    fc.assert(
      fc.property(folders, fc.double({ min: 0.01, max: 0.99, noNaN: true }), (examples, share) => {
        const isTest = (i: number): boolean => i % 3 === 0;
        const { train, validation, test } = splitTrainByName(examples, isTest, share, 1);
        expect([...test].sort((a, b) => a - b)).toEqual(examples.names.map((_, i) => i).filter(isTest));
        expect(train.length + validation.length + test.length).toBe(examples.names.length);
        expect([...train, ...validation].some(isTest)).toBe(false);
      }),
    );
  });
});
