import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { scorePredictions } from '../../src/accuracy/evaluate.js';
import { withExtras, type KnownArchitecture } from '../../src/accuracy/extraColumns.js';
import { accuracyFunction, type VectorEncoder } from '../../src/accuracy/predictor.js';
import { accuracyPredictorByName } from '../../src/accuracy/predictors/index.js';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { UserError } from '../../src/util/errors.js';
import { createRandom } from '../../src/util/random.js';

const engine = await createOnnxRuntimeEngine({ threads: 1 });
/** Architectures are numbers; the encoding knows the first digit. */
const encoder: VectorEncoder<number> = {
  labels: ['tens'],
  encode: (arch) => Float32Array.of(Math.floor(arch / 10)),
};
const known: KnownArchitecture<number>[] = [
  {
    architecture: 1,
    learningCurve: [
      { at: 0.5, top1: 0.9 },
      { at: 0.25, top1: 0.7 },
    ],
    proxies: { synflow: 1e30 },
  },
  {
    architecture: 2,
    learningCurve: [
      { at: 0.25, top1: 0.5 },
      { at: 0.5, top1: 0.6 },
    ],
    proxies: { synflow: -10 },
  },
  { architecture: 3 },
];
const withAll = withExtras(encoder, known, ['learning-curve', 'proxies'], String);

describe('withExtras', () => {
  it('adds places for the curve, its differences, and proxies', () => {
    expect(withAll.labels).toEqual([
      'tens',
      'learning curve, accuracy at 0.25',
      'learning curve, accuracy at 0.5',
      'learning curve, difference at 0.5',
      'proxy synflow',
    ]);
  });

  it('standardises them; what is missing counts as the mean', () => {
    const [one, two, three] = [1, 2, 3].map((arch) => [...withAll.encode(arch)]);
    [0, 1, 1, 1, 1].forEach((value, i) => expect(one![i]).toBeCloseTo(value, 5));
    [0, -1, -1, -1, -1].forEach((value, i) => expect(two![i]).toBeCloseTo(value, 5));
    expect(three).toEqual([0, 0, 0, 0, 0]);
  });

  it('refuses an architecture that was not measured, and an extra that none has', () => {
    expect(() => withAll.encode(4)).toThrow('architecture 4 is not among those that were measured');
    expect(() => withExtras(encoder, [{ architecture: 1 }], ['proxies'], String)).toThrow(UserError);
    expect(() => withExtras(encoder, [], ['learning-curve'], String)).toThrow(/"ofa accuracy sample"/);
  });

  it('is finite whatever the proxies are', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: 1 }),
        (values) => {
          const all = values.map((value, architecture) => ({ architecture, proxies: { p: value } }));
          const columns = withExtras(encoder, all, ['proxies'], String);
          for (const { architecture } of all)
            expect(columns.encode(architecture).every(Number.isFinite)).toBe(true);
        },
      ),
    );
  });

  it('lets a predictor see what the encoding does not tell', async () => {
    const random = createRandom('omni');
    const all = Array.from({ length: 120 }, (_, architecture) => {
      const own = random.float();
      const top1 = 0.8 + 0.1 * own;
      return { architecture, top1, learningCurve: [{ at: 0.1, top1: top1 - 0.05 + 0.005 * random.float() }] };
    });
    const training = all.slice(0, 60);
    const test = all.slice(60);
    const tauOf = async (own: VectorEncoder<number>): Promise<number> => {
      const predictor = await accuracyPredictorByName('gp').fit(training, { encoder: own, engine, seed: 0 });
      const predicted = await accuracyFunction(predictor)(test.map(({ architecture }) => architecture));
      await predictor.dispose();
      return scorePredictions(
        predicted,
        test.map(({ top1 }) => top1),
      ).kendallTau;
    };
    expect(await tauOf(withExtras(encoder, all, ['learning-curve'], String))).toBeGreaterThan(0.85);
    expect(Math.abs(await tauOf(encoder))).toBeLessThan(0.4);
  });
});
