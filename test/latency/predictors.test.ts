import { readFileSync } from 'node:fs';
import { mean } from 'simple-statistics';
import { describe, expect, it } from 'vitest';
import { evaluateLatency } from '../../src/latency/evaluate.js';
import { intervalWidth } from '../../src/latency/linear.js';
import type { LatencyExample, LatencyPredictor, PredictorContext } from '../../src/latency/predictor.js';
import { chooseLatencyPredictor, latencyPredictors } from '../../src/latency/predictors.js';
import { chooseSubnets } from '../../src/latency/subnets.js';
import { distinctBlocks } from '../../src/latency/blocks.js';
import { loadSpace } from '../../src/space/presets.js';
import { createRandom } from '../../src/util/random.js';
import { UserError } from '../../src/util/errors.js';
import { sharedData } from '../support/sharedData.js';
import { blockTruthMs, networkTruthMs, tiny } from './world.js';

const blocks = new Map(distinctBlocks(tiny).map((block) => [block.key, blockTruthMs(block)]));
const context: PredictorContext = { space: tiny, blockLatencyMs: (key) => blocks.get(key)! };

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
  return evaluateLatency(
    checks.map(({ architecture }) => predictor.predict(architecture).latencyMs),
    checks.map(({ latencyMs }) => latencyMs),
  );
}

const checks = examples('check', 300, 0.02, 1);

describe.each([...latencyPredictors.values()])('latency predictor $name', (definition) => {
  const fitted = definition.fit(examples('fit', 30, 0.02), context);

  it('says the same after it went through JSON', () => {
    const again = definition.restore(JSON.parse(JSON.stringify(fitted.state())), context);
    expect(again.name).toBe(definition.name);
    expect(again.leaveOneOutMape).toBe(fitted.leaveOneOutMape);
    for (const { architecture } of checks.slice(0, 10)) {
      expect(again.predict(architecture)).toEqual(fitted.predict(architecture));
    }
    expect(() => definition.restore({ base: 'table' }, context)).toThrow(UserError);
  });

  it('knows its own error: about that on networks it has not seen', () => {
    const { mape } = errorsOf(fitted, checks);
    expect(fitted.leaveOneOutMape!).toBeGreaterThan(0.5 * mape);
    expect(fitted.leaveOneOutMape!).toBeLessThan(2 * mape);
  });

  it('gives intervals that cover about nine in ten', () => {
    const covered = checks.filter(({ architecture, latencyMs }) => {
      const [low, high] = fitted.predict(architecture).intervalMs!;
      return latencyMs >= low && latencyMs <= high;
    });
    expect(covered.length / checks.length).toBeGreaterThan(0.8);
  });

  it('predicts a positive latency everywhere, also from very little', () => {
    const poor = definition.fit(examples('fit', Math.max(definition.minExamples, 1), 0.3), context);
    for (const arch of [tiny.smallest, tiny.largest]) {
      const { latencyMs, intervalMs } = poor.predict(arch);
      expect(latencyMs).toBeGreaterThan(0);
      expect(intervalMs![0]).toBeGreaterThanOrEqual(0);
      expect(intervalMs![1]).toBeGreaterThanOrEqual(latencyMs);
    }
  });
});

describe('chooseLatencyPredictor', () => {
  it('recovers what the table is off by, down to the noise', () => {
    const predictor = chooseLatencyPredictor(examples('fit', 30, 0.02), context);
    expect(predictor.name).toBe('corrected-table');
    const { mape, kendallTau } = errorsOf(predictor, checks);
    // Noise of 2 % alone is a MAPE of 1.6 %.
    expect(mape).toBeLessThan(2.1);
    expect(kendallTau).toBeGreaterThan(0.9);
    const alone = errorsOf(latencyPredictors.get('table')!.fit([], context), checks);
    expect(alone.mape).toBeGreaterThan(2 * mape);
  });

  it('recovers it exactly where there is no noise', () => {
    const predictor = latencyPredictors.get('corrected-table')!.fit(examples('fit', 30, 0), context);
    expect(errorsOf(predictor, examples('check', 50, 0, 2)).mape).toBeLessThan(0.1);
  });

  it('stays with the table where nothing else is known, without an interval', () => {
    const predictor = chooseLatencyPredictor([], context);
    expect(predictor.name).toBe('table');
    const sum = tiny.network(tiny.largest).blocks.reduce((total, block) => total + blockTruthMs(block), 0);
    expect(predictor.predict(tiny.largest)).toEqual({ latencyMs: sum, intervalMs: null });
  });

  it('does without a table, but not without anything', () => {
    expect(chooseLatencyPredictor(examples('fit', 30, 0.02), { space: tiny }).name).toBe('features');
    expect(() => chooseLatencyPredictor(examples('fit', 3, 0), { space: tiny })).toThrow(
      'it needs a latency table or 8 measured subnets: there are 3',
    );
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
    const [header, ...lines] = readFileSync(help!, 'utf8').trim().split('\n');
    const space = await loadSpace('ofa-mbv3');
    const nets = lines.map((line) => {
      const [, r, d, ks, e, ...latencies] = line.split(',');
      const digits = (text: string): number[] => Array.from(text.replaceAll('-', ''), Number);
      return {
        architecture: { imageSize: Number(r), d: digits(d!), ks: digits(ks!), e: digits(e!) },
        latencies: latencies.map(Number),
      };
    });
    const settings = header!.split(',').slice(5);
    expect(settings).toHaveLength(12);
    const errors = settings.map((setting, s) => {
      const shuffled = createRandom('help', setting).shuffle(nets);
      const list = shuffled
        .slice(0, 450)
        .map(({ architecture, latencies }) => ({ architecture, latencyMs: latencies[s]! }));
      const predictor = latencyPredictors.get('features')!.fit(list.slice(0, 50), { space });
      return errorsOf(predictor, list.slice(50));
    });
    expect(mean(errors.map(({ spearman }) => spearman!))).toBeGreaterThanOrEqual(0.89);
    expect(mean(errors.map(({ mape }) => mape))).toBeLessThanOrEqual(5.2);
  });
});
