/** NAS-Bench-Macro: its costs against the table's own, its encodings, and predictors side by side on made-up accuracies. */
import { describe, expect, it } from 'vitest';
import { comparePredictors } from '../../src/accuracy/benchmarks/comparePredictors.js';
import { macroCosts, macroStageCosts } from '../../src/accuracy/benchmarks/macroCosts.js';
import { macroEncodings } from '../../src/accuracy/benchmarks/macroEncodings.js';
import { canonicalMacro, readMacroBenchmark } from '../../src/accuracy/benchmarks/nasBenchMacro.js';
import { accuracyPredictorByName } from '../../src/accuracy/predictors/index.js';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { comparisonTable } from '../../src/pipeline/benchPredictors.js';
import { UserError } from '../../src/util/errors.js';
import { sharedData } from '../support/sharedData.js';

const texts = Array.from({ length: 3 ** 8 }, (_, i) => i.toString(3).padStart(8, '0'));
const networks = texts.filter((text) => canonicalMacro(text) === text);

describe('macroCosts', () => {
  it('are the sums of layers by hand for the smallest network', () => {
    // Stem, three 1x1 convolutions with stride 2, the head's 1x1 convolution and linear layer.
    const weights = [27 * 32, 32 * 64, 64 * 128, 128 * 256, 256 * 1280];
    const linear = 1280 * 10;
    const { macs, params } = macroCosts('00000000');
    expect(macs).toBe(
      weights[0]! * 1024 + weights[1]! * 256 + weights[2]! * 64 + (weights[3]! + weights[4]!) * 16 + linear,
    );
    expect(params).toBe(weights.reduce((a, b) => a + b) + 2 * (32 + 64 + 128 + 256 + 1280) + linear + 10);
    expect(macroStageCosts('00000000').map((stage) => stage.macs)).toEqual([
      2048 * 256,
      8192 * 64,
      32768 * 16,
    ]);
  });

  const path = sharedData('nas-bench-macro-open.json');
  it.skipIf(path === undefined)(
    'are those of the table (skipped where nas-bench-macro-open.json is absent)',
    async () => {
      for (const { architecture, macs, params } of await readMacroBenchmark(path!))
        expect(macroCosts(architecture)).toEqual({ macs, params });
    },
  );
});

describe.each([...macroEncodings])('macro encoding %s', (name, encoder) => {
  it('gives strings of one network one vector', () => {
    for (const text of texts.filter((_, i) => i % 7 === 0))
      expect(encoder.encode(text)).toEqual(encoder.encode(canonicalMacro(text)));
    expect(encoder.encode(texts[0]!).length).toBe(encoder.labels.length);
    expect(new Set(encoder.labels).size).toBe(encoder.labels.length);
  });

  it.skipIf(name === 'features')('tells networks apart', () => {
    expect(new Set(networks.map((text) => encoder.encode(text).join())).size).toBe(3969);
  });
});

describe('comparePredictors', () => {
  const samples = networks
    .filter((_, i) => i % 40 === 0)
    .map((architecture) => ({
      architecture,
      top1:
        0.8 +
        0.002 * Array.from(architecture, Number).reduce((sum, choice, slot) => sum + (slot + 1) * choice, 0),
    }));
  const options = {
    samples,
    definitions: ['ridge', 'gradient-boosting'].map(accuracyPredictorByName),
    encoders: new Map([...macroEncodings].filter(([name]) => name === 'plain' || name === 'features')),
    targets: ['accuracy', 'log-error'] as const,
    losses: ['squared', 'logistic'] as const,
    sizes: [30, 60],
    seeds: 2,
  };

  it('has a row for every combination that there is', async () => {
    const engine = await createOnnxRuntimeEngine({ threads: 1 });
    const rows = await comparePredictors({ ...options, engine });
    // Neither predictor has a ranking loss.
    expect(rows.length).toBe(2 * 2 * 2 * 2);
    expect(rows.every(({ loss }) => loss === 'squared')).toBe(true);
    for (const { fitted, heldOut } of rows) expect(fitted + heldOut).toBe(samples.length);
    const additive = rows.filter(
      (row) => row.predictor === 'ridge' && row.encoding === 'plain' && row.target === 'accuracy',
    );
    for (const { kendallTau, rmse, kendallTauDeviation } of additive) {
      expect(kendallTau).toBeGreaterThan(0.9);
      expect(rmse).toBeLessThan(0.5);
      expect(kendallTauDeviation).toBeLessThan(0.1);
    }
    const { header, lines } = comparisonTable(rows);
    expect(header.slice(4)).toEqual(['tau, 30 samples', 'tau, 60 samples']);
    expect(lines.length).toBe(8);
    expect(lines[0]).toEqual([
      'ridge',
      'plain',
      'accuracy',
      'squared',
      ...additive.map(({ kendallTau }) => kendallTau.toFixed(3)),
    ]);
  });

  it.each([0, samples.length])('refuses to fit on %i', async (size) => {
    const engine = await createOnnxRuntimeEngine({ threads: 1 });
    await expect(comparePredictors({ ...options, sizes: [size], engine })).rejects.toThrow(UserError);
  });
});
