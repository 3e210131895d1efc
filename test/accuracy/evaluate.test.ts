import { beforeAll, describe, expect, it } from 'vitest';
import {
  choosePredictor,
  crossValidate,
  fitAndEvaluate,
  scorePredictions,
} from '../../src/accuracy/evaluate.js';
import type { AccuracySample, FitContext } from '../../src/accuracy/predictor.js';
import { accuracyPredictorByName, accuracyPredictors } from '../../src/accuracy/predictors/index.js';
import { solveRidge } from '../../src/accuracy/predictors/ridge.js';
import { macroEncoder } from '../../src/accuracy/benchmarks/macroEncodings.js';
import { canonicalMacro, readMacroBenchmark } from '../../src/accuracy/benchmarks/nasBenchMacro.js';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { createRandom } from '../../src/util/random.js';
import { UserError } from '../../src/util/errors.js';
import { sharedData } from '../support/sharedData.js';
import '../support/matchers.js';

const engine = await createOnnxRuntimeEngine({ threads: 1 });
/** Architectures are points of [0, 1]^4. */
const context: FitContext<number[]> = {
  encoder: { labels: ['a', 'b', 'c', 'd'], encode: (arch) => Float32Array.from(arch) },
  engine,
  seed: 3,
};
const random = createRandom('points');
const points = Array.from({ length: 60 }, () => Array.from({ length: 4 }, () => random.float()));
const linear: AccuracySample<number[]>[] = points.map((architecture) => ({
  architecture,
  top1: 1 - Math.exp(-0.5 - architecture[0]! - 0.5 * architecture[1]!),
}));
const ridge = accuracyPredictorByName('ridge');

describe('scorePredictions', () => {
  it('gives the error in points', () => {
    const score = scorePredictions([0.5, 0.6, 0.9], [0.51, 0.58, 0.88]);
    expect(score.rmse).toBeCloseTo(Math.sqrt((1 + 4 + 4) / 3), 10);
    expect(score).toMatchObject({ kendallTau: 1, spearman: 1, n: 3 });
  });

  it('counts constant predictions as no ranking', () => {
    expect(scorePredictions([0.5, 0.5], [0.1, 0.9])).toMatchObject({ kendallTau: 0, spearman: 0 });
  });

  it('refuses lists that do not belong together', () => {
    expect(() => scorePredictions([], [])).toThrow(RangeError);
    expect(() => scorePredictions([1], [1, 2])).toThrow(RangeError);
  });
});

describe('fitAndEvaluate', () => {
  it('judges on samples that were put aside', async () => {
    const result = await fitAndEvaluate(ridge, linear, 20, context);
    expect(result.score.n).toBe(20);
    expect(result.score.kendallTau).toBeGreaterThan(0.95);
    expect(new Set([...result.training, ...result.heldOut])).toEqual(new Set(linear));
    const again = await fitAndEvaluate(ridge, linear, 20, context);
    expect(again.score).toEqual(result.score);
    const other = await fitAndEvaluate(ridge, linear, 20, { ...context, seed: 4 });
    expect(other.heldOut).not.toEqual(result.heldOut);
  });

  it.each([0, 60, 1.5])('refuses to hold out %f of 60', async (heldOut) => {
    await expect(fitAndEvaluate(ridge, linear, heldOut, context)).rejects.toThrow(UserError);
  });
});

describe('crossValidate', () => {
  it('predicts each sample once', async () => {
    const score = await crossValidate(ridge, linear, 5, context);
    expect(score.n).toBe(60);
    expect(score.kendallTau).toBeGreaterThan(0.95);
  });

  it('finds nothing in noise', async () => {
    const noise = linear.map((sample) => ({ ...sample, top1: random.float() }));
    expect(Math.abs((await crossValidate(ridge, noise, 5, context)).kendallTau)).toBeLessThan(0.4);
  });

  it('refuses fewer samples than folds', async () => {
    await expect(crossValidate(ridge, linear.slice(0, 3), 5, context)).rejects.toThrow(RangeError);
  });
});

describe('choosePredictor', () => {
  const quick = ['ridge', 'gp', 'gradient-boosting', 'random-forest', 'ensemble'].map(
    accuracyPredictorByName,
  );
  const encoders = new Map([['points', context.encoder]]);

  it('takes the linear one for a linear function', async () => {
    const { definition, encoding, scores } = await choosePredictor(linear, context, { encoders });
    expect([definition.name, encoding]).toEqual(['ridge', 'points']);
    expect(scores.map((score) => score.definition.name).sort()).toEqual(
      [...accuracyPredictors.keys()].sort(),
    );
    expect(scores.map(({ score }) => score.n)).toEqual([60, 60, 60, 60, ...scores.slice(4).map(() => 20)]);
  });

  it('takes another one where nothing is linear', async () => {
    const exclusive = points.map((architecture) => {
      const corner = architecture.map(Math.round);
      return { architecture: corner, top1: 0.3 + 0.4 * (corner[0]! ^ corner[1]!) + 0.01 * corner[2]! };
    });
    const { definition, scores } = await choosePredictor(exclusive, context, {
      encoders,
      definitions: quick,
    });
    expect(definition.name).not.toBe('ridge');
    expect(scores[0]!.score.kendallTau).toBeGreaterThan(0.8);
    expect(scores.find((score) => score.definition.name === 'ridge')!.score.kendallTau).toBeLessThan(0.5);
  });

  it('takes the encoding that tells more', async () => {
    const blind = { labels: ['d'], encode: (arch: number[]) => Float32Array.of(arch[3]!) };
    const both = new Map([['blind', blind], ...encoders]);
    const { encoding } = await choosePredictor(linear, context, { encoders: both, definitions: quick });
    expect(encoding).toBe('points');
  });

  it('takes only predictors that have the loss', async () => {
    const few = linear.slice(0, 9);
    const { definition } = await choosePredictor(few, { ...context, loss: 'logistic' }, { encoders });
    expect(definition.name).toBe('ensemble');
    await expect(
      choosePredictor(few, { ...context, loss: 'logistic' }, { encoders, definitions: [] }),
    ).rejects.toThrow('none can be fitted to the loss "logistic"');
  });

  it('takes the simplest without comparing where there are few, or only equal ones', async () => {
    for (const samples of [linear.slice(0, 9), linear.map((sample) => ({ ...sample, top1: 0.5 }))]) {
      const { definition, scores } = await choosePredictor(samples, context, { encoders });
      expect([definition.name, scores]).toEqual(['ridge', []]);
    }
    await expect(choosePredictor([], context, { encoders })).rejects.toThrow(UserError);
  });
});

describe('solveRidge', () => {
  const x = Array.from({ length: 12 }, () => [random.normal(), random.normal(), random.normal()]);
  const y = x.map((row) => 2 * row[0]! - row[1]! + 0.3 * random.normal());
  const centred = (rows: readonly number[][], values: readonly number[]) => {
    const mean = rows[0]!.map((_, j) => rows.reduce((s, row) => s + row[j]!, 0) / rows.length);
    const centre = values.reduce((s, v) => s + v, 0) / values.length;
    return {
      mean,
      centre,
      x: rows.map((row) => row.map((v, j) => v - mean[j]!)),
      y: values.map((v) => v - centre),
    };
  };

  it('makes the gradient of its objective zero', () => {
    const { x: rows, y: values } = centred(x, y);
    const { coefficients } = solveRidge(rows, values, [0.7]);
    const gradient = coefficients.map((c, j) =>
      rows.reduce(
        (sum, row, i) => sum + row[j]! * (row.reduce((s, v, k) => s + v * coefficients[k]!, 0) - values[i]!),
        0.7 * c,
      ),
    );
    expect(gradient).toBeAllclose([0, 0, 0], { absolute: 1e-9 });
  });

  it('leaves one out as if fitted without it', () => {
    const full = centred(x, y);
    // Means and intercept are of the other rows, too.
    let total = 0;
    x.forEach((row, i) => {
      const part = centred(x.toSpliced(i, 1), y.toSpliced(i, 1));
      const { coefficients } = solveRidge(part.x, part.y, [0.7]);
      const predicted = part.centre + coefficients.reduce((s, c, j) => s + c * (row[j]! - part.mean[j]!), 0);
      total += (y[i]! - predicted) ** 2 / x.length;
    });
    expect(solveRidge(full.x, full.y, [0.7]).leaveOneOutError).toBeCloseTo(total, 9);
  });

  it('survives columns that are equal or constant', () => {
    const rows = centred(
      x.map((row) => [row[0]!, row[0]!, 5]),
      y,
    );
    const { coefficients } = solveRidge(rows.x, rows.y, [0.1]);
    expect(coefficients[0]).toBeCloseTo(coefficients[1]!, 9);
    expect(coefficients[2]).toBeCloseTo(0, 9);
  });
});

describe('NAS-Bench-Macro', () => {
  it('has one canonical string a network', () => {
    expect(canonicalMacro('01001210')).toBe('01010210');
    expect(canonicalMacro('00000001')).toBe('00000010');
    expect(canonicalMacro('21021102')).toBe('21021120');
    expect([...macroEncoder.encode('00000001')]).toEqual([...macroEncoder.encode('00000010')]);
    expect(macroEncoder.labels.length).toBe(2 + 3 + 3 + 3 * 3 + 5 * 2);
  });

  const path = sharedData('nas-bench-macro-open.json');
  describe.skipIf(path === undefined)(
    'with the table (skipped where nas-bench-macro-open.json is absent)',
    () => {
      let samples: Awaited<ReturnType<typeof readMacroBenchmark>>;
      beforeAll(async () => {
        samples = await readMacroBenchmark(path!);
      });
      it('reads distinct networks', () => {
        expect(samples.length).toBe(1975);
        expect(Math.max(...samples.map(({ top1 }) => top1))).toBeCloseTo(0.93127, 5);
      });
      it.each([
        ['mlp', 100, 0.82],
        ['mlp', 400, 0.89],
        ['ridge', 400, 0.85],
      ] as const)(
        '%s ranks unseen networks after %i samples with tau above %f',
        async (name, count, floor) => {
          const result = await fitAndEvaluate(
            accuracyPredictorByName(name),
            samples,
            samples.length - count,
            { encoder: macroEncoder, engine, seed: 0 },
          );
          await result.predictor.dispose();
          expect(result.score.kendallTau).toBeGreaterThan(floor);
          expect(result.score.rmse).toBeLessThan(2);
        },
      );
    },
  );
});
