/** Trees against scikit-learn's, against their definition, and forests that files could hold. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PredictorState } from '../../src/accuracy/predictor.js';
import { accuracyPredictorByName } from '../../src/accuracy/predictors/index.js';
import { askTrees, binColumns, flatten, ForestBuilder, type Forest } from '../../src/util/regressionTree.js';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { UserError } from '../../src/util/errors.js';
import { createRandom } from '../../src/util/random.js';
import { tensor } from '../../src/util/tensor.js';
import * as sklearn from '../support/scikitLearn.js';
import '../support/matchers.js';

const engine = await createOnnxRuntimeEngine({ threads: 1 });

/** Sums of all trees, for every row. */
function ask(forest: Forest, rows: Float32Array, width: number): number[] {
  const flat = flatten(forest);
  return Array.from({ length: rows.length / width }, (_, row) => {
    let sum = 0;
    askTrees(flat, rows, row * width, (value) => (sum += value));
    return sum;
  });
}

const all = (count: number): Int32Array => Int32Array.from({ length: count }, (_, i) => i);

describe('ForestBuilder', () => {
  const { rows, targets, queries, WIDTH } = sklearn;
  const columns = binColumns(rows, targets.length, WIDTH);

  it("grows scikit-learn's tree", () => {
    const builder = new ForestBuilder(columns, { depth: Infinity, minLeaf: 3 }, createRandom(0));
    builder.grow(all(targets.length), targets);
    expect(ask(builder, queries, WIDTH)).toBeAllclose(sklearn.treePredictions, { absolute: 1e-6 });
  });

  it("boosts to scikit-learn's predictions", () => {
    const builder = new ForestBuilder(columns, { depth: 2, minLeaf: 1 }, createRandom(0));
    const mean = targets.reduce((sum, y) => sum + y, 0) / targets.length;
    const residuals = targets.map((y) => y - mean);
    for (let tree = 0; tree < 20; tree++) {
      builder.grow(all(targets.length), residuals, 0.3);
      residuals.forEach((_, row) => (residuals[row]! -= builder.askLast(rows, row * WIDTH)));
    }
    const predicted = ask(builder, queries, WIDTH).map((sum) => mean + sum);
    expect(predicted).toBeAllclose(sklearn.boostedPredictions, { absolute: 1e-5 });
  });

  it('splits where the square error is least', () => {
    const value = fc.integer({ min: 0, max: 3 });
    fc.assert(
      fc.property(
        fc.array(fc.record({ x: fc.tuple(value, value), y: fc.integer({ min: -9, max: 9 }) }), {
          minLength: 1,
        }),
        (samples) => {
          const flat = Float32Array.from(samples.flatMap(({ x }) => x));
          const builder = new ForestBuilder(
            binColumns(flat, samples.length, 2),
            { depth: 1, minLeaf: 1 },
            createRandom(0),
          );
          builder.grow(
            all(samples.length),
            samples.map(({ y }) => y),
          );
          const error = (group: typeof samples): number => {
            const mean = group.reduce((sum, { y }) => sum + y, 0) / Math.max(group.length, 1);
            return group.reduce((sum, { y }) => sum + (y - mean) ** 2, 0);
          };
          const errors = [0, 1].flatMap((place) =>
            [-1, 0, 1, 2].map(
              (cut) =>
                error(samples.filter(({ x }) => x[place]! <= cut)) +
                error(samples.filter(({ x }) => x[place]! > cut)),
            ),
          );
          const predicted = ask(builder, flat, 2);
          const own = samples.reduce((sum, { y }, i) => sum + (y - predicted[i]!) ** 2, 0);
          expect(own).toBeCloseTo(Math.min(...errors), 3);
        },
      ),
    );
  });

  it('cuts places of many values at quantiles, and still separates them', () => {
    const count = 2000;
    const random = createRandom('many');
    const x = Float32Array.from({ length: count }, () => random.normal());
    const many = binColumns(x, count, 1);
    const [lows, highs] = [many.lows[0]!, many.highs[0]!];
    expect(lows.length).toBeLessThanOrEqual(256);
    x.forEach((value, i) => {
      const bin = many.bins[0]![i]!;
      expect(value >= lows[bin]! && value <= highs[bin]! && !(value >= lows[bin + 1]!)).toBe(true);
    });
    const builder = new ForestBuilder(many, { depth: 12, minLeaf: 1 }, random);
    builder.grow(all(count), x);
    const errors = ask(builder, x, 1).map((value, i) => Math.abs(value - x[i]!));
    expect(errors.reduce((sum, e) => sum + e, 0) / count).toBeLessThan(0.02);
  });

  it('separates neighbouring floats', () => {
    const x = Float32Array.of(1, 1 + 2 ** -23);
    const builder = new ForestBuilder(binColumns(x, 2, 1), { depth: 1, minLeaf: 1 }, createRandom(0));
    builder.grow(all(2), [3, 5]);
    expect(ask(builder, x, 1)).toEqual([3, 5]);
  });
});

describe.each(['random-forest', 'gradient-boosting'])('a stored %s', (name) => {
  const definition = accuracyPredictorByName(name);
  const encoder = { labels: ['a', 'b'], encode: (arch: readonly number[]) => Float32Array.from(arch) };
  const context = { encoder, engine };

  const stateWith = (nodes: readonly { place: number; left: number }[], root = 0): PredictorState => ({
    tensors: new Map(
      Object.entries({
        'input.offset': [0, 0],
        'input.factor': [1, 1],
        roots: [root],
        places: nodes.map(({ place }) => place),
        thresholds: nodes.map(() => 0.5),
        lefts: nodes.map(({ left }) => left),
        values: nodes.map((_, i) => i),
      }).map(([key, values]) => [key, tensor([values.length], Float32Array.from(values))]),
    ),
    settings: {
      trees: 1,
      nodes: nodes.length,
      targetScale: 'accuracy',
      targetMean: 0,
      targetDeviation: 1,
    },
  });
  const leaf = { place: -1, left: 0 };

  it('asks its places', async () => {
    const predictor = definition.restore(stateWith([{ place: 1, left: 1 }, leaf, leaf]), context);
    const means = (
      await predictor.predict([
        [9, 0.5],
        [0, 0.6],
      ])
    ).map(({ mean }) => mean);
    expect(means).toEqual([1, 2]);
  });

  it.each([
    ['points back', [{ place: 0, left: 0 }, leaf, leaf], 0],
    ['points behind the end', [{ place: 0, left: 2 }, leaf, leaf], 0],
    ['asks a place that is not there', [{ place: 2, left: 1 }, leaf, leaf], 0],
    ['asks no place', [{ place: -2, left: 1 }, leaf, leaf], 0],
    ['has a root that is not there', [leaf], 1],
  ])('is refused where it %s', (_, nodes, root) => {
    expect(() => definition.restore(stateWith(nodes, root), context)).toThrow(UserError);
  });

  it('never hangs, whatever the numbers', async () => {
    const number = fc.oneof(fc.integer({ min: -3, max: 9 }), fc.float());
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ place: number, left: number }), { minLength: 1, maxLength: 8 }),
        number,
        async (nodes, root) => {
          try {
            const predictor = definition.restore(stateWith(nodes, root), context);
            expect((await predictor.predict([[0, 1]])).length).toBe(1);
          } catch (error) {
            expect(error).toBeInstanceOf(UserError);
          }
        },
      ),
    );
  });
});
