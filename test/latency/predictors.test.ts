import { mean } from 'simple-statistics';
import { describe, expect, it } from 'vitest';
import { evaluateLatency } from '../../src/latency/evaluate.js';
import { predictorContext } from '../../src/latency/context.js';
import { fitPredictor, intervalWidth, restorePredictor } from '../../src/latency/crossValidation.js';
import type { LatencyExample, LatencyPredictor } from '../../src/latency/predictor.js';
import { featureRidgePredictor } from '../../src/latency/featureRidge.js';
import { chooseLatencyPredictor, latencyPredictors } from '../../src/latency/predictors.js';
import { distilSource } from '../../src/latency/transferPredictor.js';
import { sampleArchitecture } from '../../src/space/sampling.js';
import { chooseSubnets } from '../../src/latency/subnets.js';
import { distinctBlocks } from '../../src/latency/blocks.js';
import { loadSpace } from '../../src/space/presets.js';
import { createRandom } from '../../src/util/random.js';
import { UserError } from '../../src/util/errors.js';
import { readHelp } from '../support/help.js';
import { sharedData } from '../support/sharedData.js';
import { blockTruthMs, networkTruthMs, tiny } from './world.js';

const blocks = new Map(distinctBlocks(tiny).map((block) => [block.key, blockTruthMs(block)]));

/** Other devices: some weigh blocks as the new one does, some depth, some the image. */
const sources = [0.2, 1, 3].map((emphasis, i) =>
  distilSource(
    `known${i}`,
    tiny,
    fitPredictor(
      featureRidgePredictor,
      chooseSubnets(tiny.genes, { fit: 40, check: 0 }, 7).map(({ architecture }) => ({
        architecture,
        latencyMs:
          emphasis * networkTruthMs(tiny, architecture, 0.02) +
          0.01 * tiny.network(architecture).blocks.length,
      })),
      predictorContext({ space: tiny }),
    ),
  ),
);
const context = predictorContext({ space: tiny, blockLatencyMs: (key) => blocks.get(key)!, sources });
const withoutSources = predictorContext({ space: tiny, blockLatencyMs: (key) => blocks.get(key)! });

function examples(role: 'fit' | 'check', count: number, noise: number, seed = 0): LatencyExample[] {
  const counts = { fit: 0, check: 0, [role]: count };
  return chooseSubnets(tiny.genes, counts, seed).map(({ architecture }) => ({
    architecture,
    latencyMs: networkTruthMs(tiny, architecture, noise),
  }));
}

function errorsOf(
  predictor: LatencyPredictor,
  checks: readonly LatencyExample[],
): ReturnType<typeof evaluateLatency> {
  const answers = checks.map(({ architecture }) => predictor.predict(architecture));
  return evaluateLatency(
    answers.map(({ latencyMs }) => latencyMs),
    checks.map(({ latencyMs }) => latencyMs),
    answers.map(({ intervalMs }) => intervalMs),
  );
}

const checks = examples('check', 300, 0.02, 1);

describe.each([...latencyPredictors.values()])('latency predictor $name', (definition) => {
  const fitted = fitPredictor(definition, examples('fit', 60, 0.02), context);

  it('says the same after it went through JSON', () => {
    const again = restorePredictor(definition, JSON.parse(JSON.stringify(fitted.state())), context);
    expect(again.name).toBe(definition.name);
    expect(again.crossValidatedMape).toBe(fitted.crossValidatedMape);
    for (const { architecture } of checks.slice(0, 10)) {
      expect(again.predict(architecture)).toEqual(fitted.predict(architecture));
    }
  });

  it('refuses a state that is not its own', () => {
    const { model: _, ...rest } = fitted.state() as { model: unknown };
    for (const state of [null, {}, { ...rest, model: { base: 'table' } }, { ...rest, model: [1, 2] }])
      expect(() => restorePredictor(definition, state, context)).toThrow(UserError);
  });

  it('knows its own error: about that on networks it has not seen', () => {
    const { mape } = errorsOf(fitted, checks);
    expect(fitted.crossValidatedMape!).toBeGreaterThan(0.5 * mape);
    expect(fitted.crossValidatedMape!).toBeLessThan(2 * mape);
  });

  it('gives intervals that cover about nine in ten', () => {
    expect(errorsOf(fitted, checks).coveredPercent).toBeGreaterThan(80);
  });

  it('predicts a positive latency everywhere, also from very little', () => {
    const poor = fitPredictor(definition, examples('fit', Math.max(definition.minExamples, 1), 0.3), context);
    for (const arch of [tiny.smallest, tiny.largest]) {
      const { latencyMs, intervalMs } = poor.predict(arch);
      expect(latencyMs).toBeGreaterThan(0);
      expect(intervalMs![0]).toBeGreaterThanOrEqual(0);
      expect(intervalMs![1]).toBeGreaterThanOrEqual(latencyMs);
    }
  });
});

describe('intervals by simulation', () => {
  const worlds = 60;

  it.each([
    ['corrected-table', 19],
    ['corrected-table', 60],
    ['features', 39],
    ['transfer', 10],
    ['transfer', 30],
  ])('of "%s" from %d subnets cover 85 to 95 % of new ones, over 60 worlds', (name, count) => {
    // Fitted on what will be asked: an interval knows nothing of other networks.
    let inside = 0;
    let asked = 0;
    for (let world = 0; world < worlds; world++) {
      const random = createRandom('world', name, count, world);
      const drawn = Array.from({ length: count + 40 }, () => {
        const architecture = sampleArchitecture(tiny.genes, random);
        return {
          architecture,
          latencyMs: networkTruthMs(tiny, architecture, 0) * Math.exp(0.04 * random.normal()),
        };
      });
      const predictor = fitPredictor(latencyPredictors.get(name)!, drawn.slice(0, count), context);
      for (const { architecture, latencyMs } of drawn.slice(count)) {
        const [low, high] = predictor.predict(architecture).intervalMs!;
        asked++;
        if (latencyMs >= low && latencyMs <= high) inside++;
      }
    }
    expect((100 * inside) / asked).toBeGreaterThan(85);
    expect((100 * inside) / asked).toBeLessThan(95);
  });
});

describe('chooseLatencyPredictor', () => {
  it('recovers what the table is off by, down to the noise', () => {
    const predictor = chooseLatencyPredictor(examples('fit', 30, 0.02), withoutSources);
    expect(predictor.name).toBe('corrected-table');
    const { mape, kendallTau } = errorsOf(predictor, checks);
    // Noise of 2 % alone is a MAPE of 1.6 %.
    expect(mape).toBeLessThan(2.1);
    expect(kendallTau).toBeGreaterThan(0.9);
    const alone = errorsOf(fitPredictor(latencyPredictors.get('table')!, [], context), checks);
    expect(alone.mape).toBeGreaterThan(2 * mape);
  });

  it('recovers it exactly where there is no noise', () => {
    const predictor = fitPredictor(
      latencyPredictors.get('corrected-table')!,
      examples('fit', 30, 0),
      context,
    );
    expect(errorsOf(predictor, examples('check', 50, 0, 2)).mape).toBeLessThan(0.1);
  });

  it('stays with the table where nothing else is known, without an interval', () => {
    const predictor = chooseLatencyPredictor([], context);
    expect(predictor.name).toBe('table');
    const sum = tiny.network(tiny.largest).blocks.reduce((total, block) => total + blockTruthMs(block), 0);
    expect(predictor.predict(tiny.largest)).toEqual({ latencyMs: sum, intervalMs: null });
  });

  it('does without a table, but not without anything', () => {
    const bare = predictorContext({ space: tiny });
    expect(chooseLatencyPredictor(examples('fit', 10, 0.02), bare).name).toBe('features');
    expect(() => chooseLatencyPredictor(examples('fit', 3, 0), bare)).toThrow(
      'it needs a latency table or 8 measured subnets: there are 3',
    );
  });

  it('takes other devices where there are few subnets and no table', () => {
    const predictor = chooseLatencyPredictor(
      examples('fit', 10, 0.02),
      predictorContext({ space: tiny, sources }),
    );
    expect(predictor.name).toBe('transfer');
    const features = fitPredictor(
      featureRidgePredictor,
      examples('fit', 10, 0.02),
      predictorContext({ space: tiny }),
    );
    expect(errorsOf(predictor, checks).mape).toBeLessThan(errorsOf(features, checks).mape);
  });

  it('sees with a learner what a sum cannot say', () => {
    // Kernels of 5 are dearer inside a network than alone, where stages are deep.
    const odd = (list: LatencyExample[]): LatencyExample[] =>
      list.map(({ architecture, latencyMs }) => ({
        architecture,
        latencyMs: latencyMs * (architecture.ks[0] === 5 ? 1.25 : 1) * (architecture.d[1] === 3 ? 1.1 : 1),
      }));
    const fits = odd(examples('fit', 120, 0.01));
    const predictor = chooseLatencyPredictor(fits, withoutSources);
    expect(predictor.name).not.toBe('corrected-table');
    const corrected = fitPredictor(latencyPredictors.get('corrected-table')!, fits, withoutSources);
    expect(errorsOf(predictor, odd(checks)).mape).toBeLessThan(0.6 * errorsOf(corrected, odd(checks)).mape);
  });
});

describe('intervalWidth', () => {
  it('is the ceil(0.9 (n + 1))-th smallest relative error', () => {
    const errors = Array.from({ length: 19 }, (_, i) => 1 + (i + 1) / 100);
    expect(
      intervalWidth(
        errors.map(() => 1),
        errors,
      ),
    ).toBeCloseTo(0.18, 12);
    expect(intervalWidth([1, 1], [1.1, 0.8])).toBeCloseTo(0.2, 12);
    expect(intervalWidth([], [])).toBeNull();
  });
});

const help = sharedData('help-ofa-latency.csv');

describe.skipIf(help === undefined)('5000 networks on four processors (HELP)', () => {
  it('are predicted from 50 measurements and six features: rho .89, MAPE 5.2 %', async () => {
    const space = await loadSpace('ofa-mbv3');
    const { settings, networks: nets } = readHelp(help!);
    expect(settings).toHaveLength(12);
    const errors = settings.map((setting, s) => {
      const shuffled = createRandom('help', setting).shuffle(nets);
      const list = shuffled
        .slice(0, 450)
        .map(({ architecture, latenciesMs }) => ({ architecture, latencyMs: latenciesMs[s]! }));
      const predictor = fitPredictor(featureRidgePredictor, list.slice(0, 50), predictorContext({ space }));
      return errorsOf(predictor, list.slice(50));
    });
    expect(mean(errors.map(({ spearman }) => spearman!))).toBeGreaterThanOrEqual(0.89);
    expect(mean(errors.map(({ mape }) => mape))).toBeLessThanOrEqual(5.2);
  });
});
