/** How well each class is recognised, and what it is taken for. */
import { z } from 'zod';

const count = z.number().int().nonnegative();

/** Pairs that are kept: all of up to 20 classes. */
export const MOST_CONFUSIONS = 400;

export const classScoreSchema = z.strictObject({
  /** Images of each class, and how many of them were recognised, in the order of the logits. */
  count: z.array(count).readonly(),
  correct: z.array(count).readonly(),
  /** `[label, answer, images]`, the most frequent first, at most 400. */
  confused: z.array(z.tuple([count, count, count])).readonly(),
});
export type ClassScore = Readonly<z.infer<typeof classScoreSchema>>;

/** Label and answer of every image: numbers below `classes`. */
export function scoreByClass(
  labels: readonly number[],
  answers: readonly number[],
  classes: number,
): ClassScore {
  const all = new Array<number>(classes).fill(0);
  const correct = new Array<number>(classes).fill(0);
  const confusions = new Map<number, number>();
  labels.forEach((label, image) => {
    const answer = answers[image]!;
    all[label]!++;
    if (label === answer) correct[label]!++;
    else {
      const key = label * classes + answer;
      confusions.set(key, (confusions.get(key) ?? 0) + 1);
    }
  });
  const confused = [...confusions]
    .sort(([a, m], [b, n]) => n - m || a - b)
    .slice(0, MOST_CONFUSIONS)
    .map(([key, images]): [number, number, number] => [Math.floor(key / classes), key % classes, images]);
  return { count: all, correct, confused };
}
