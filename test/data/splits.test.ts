import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { splitAll, splitTrain } from '../../src/data/splits.js';

const labelLists = fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 300 });
const count = (positions: readonly number[], labels: readonly number[], label: number): number =>
  positions.filter((i) => labels[i] === label).length;

describe('splitAll', () => {
  it('is a partition, stratified within one example', () => {
    fc.assert(
      fc.property(labelLists, fc.integer({ min: 0, max: 99 }), (labels, seed) => {
        const { train, validation, test } = splitAll(labels, seed);
        const all = [...train, ...validation, ...test].sort((a, b) => a - b);
        expect(all).toEqual(labels.map((_, i) => i));
        for (let label = 0; label < 5; label++) {
          const n = labels.filter((l) => l === label).length;
          for (const part of [validation, test]) {
            const got = count(part, labels, label);
            expect(Math.abs(got - 0.15 * n)).toBeLessThanOrEqual(1);
            if (n >= 3) expect(got).toBeGreaterThanOrEqual(1);
          }
          if (n >= 1) expect(count(train, labels, label)).toBeGreaterThanOrEqual(1);
        }
      }),
    );
  });

  it('is stable for a seed and differs between seeds', () => {
    const labels = Array.from({ length: 200 }, (_, i) => i % 4);
    expect(splitAll(labels, 7)).toEqual(splitAll(labels, 7));
    expect(splitAll(labels, 7)).not.toEqual(splitAll(labels, 8));
  });

  it('shuffles, so that a prefix of a split has all classes', () => {
    const labels = Array.from({ length: 1000 }, (_, i) => Math.floor(i / 250));
    for (const part of Object.values(splitAll(labels, 0))) {
      for (let label = 0; label < 4; label++) {
        expect(count(part.slice(0, 60), labels, label)).toBeGreaterThan(4);
      }
    }
  });
});

describe('splitTrain', () => {
  it('keeps the given test examples and draws validation from the others by class', () => {
    fc.assert(
      fc.property(labelLists, fc.double({ min: 0.01, max: 0.99, noNaN: true }), (labels, share) => {
        const isTest = (i: number): boolean => i % 3 === 0;
        const { train, validation, test } = splitTrain(labels, isTest, share, 1);
        expect([...test].sort((a, b) => a - b)).toEqual(labels.map((_, i) => i).filter(isTest));
        const rest = [...train, ...validation].sort((a, b) => a - b);
        expect(rest).toEqual(labels.map((_, i) => i).filter((i) => !isTest(i)));
        for (let label = 0; label < 5; label++) {
          const n = count(rest, labels, label);
          expect(Math.abs(count(validation, labels, label) - share * n)).toBeLessThanOrEqual(1);
          if (n > 0) expect(count(train, labels, label)).toBeGreaterThan(0);
        }
      }),
    );
  });
});
