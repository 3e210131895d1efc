/** The process against scikit-learn's with the same kernel, and the gradient of what its hyperparameters are chosen by. */
import { describe, expect, it } from 'vitest';
import {
  fitKernel,
  kernelMatrix,
  negativeLogPosterior,
  LEAST_NOISE,
} from '../../src/accuracy/predictors/gaussianKernel.js';
import { accuracyPredictorByName } from '../../src/accuracy/predictors/index.js';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { createRandom } from '../../src/util/random.js';
import { tensor } from '../../src/util/tensor.js';
import * as sklearn from '../support/scikitLearn.js';
import '../support/matchers.js';

const { rows, queries, targets, WIDTH } = sklearn;
const engine = await createOnnxRuntimeEngine({ threads: 1 });
const mean = targets.reduce((sum, y) => sum + y, 0) / targets.length;
const deviation = Math.sqrt(targets.reduce((sum, y) => sum + (y - mean) ** 2, 0) / targets.length);
const standard = targets.map((y) => (y - mean) / deviation);
const scales = Float32Array.of(1 / 0.8, 1 / 1.3, 1 / 2.1);

describe('gp', () => {
  it("has scikit-learn's posterior", async () => {
    const encoder = { labels: ['a', 'b', 'c'], encode: (arch: readonly number[]) => Float32Array.from(arch) };
    const predictor = accuracyPredictorByName('gp').restore(
      {
        tensors: new Map([
          ['input.offset', tensor([WIDTH])],
          ['input.factor', tensor([WIDTH], Float32Array.of(1, 1, 1))],
          ['samples', tensor([targets.length, WIDTH], rows)],
          ['targets', tensor([targets.length], Float32Array.from(standard))],
          ['scales', tensor([WIDTH], scales)],
        ]),
        settings: {
          samples: targets.length,
          variance: 1.7,
          noise: 0.05,
          targetScale: 'accuracy',
          targetMean: 0,
          targetDeviation: 1,
        },
      },
      { encoder, engine },
    );
    const predicted = await predictor.predictRows(queries);
    await predictor.dispose();
    expect(predicted.mean).toBeAllclose(sklearn.processMeans, { absolute: 1e-5 });
    expect(predicted.variance!).toBeAllclose(sklearn.processVariances, { absolute: 1e-5 });
  });
});

describe('negativeLogPosterior', () => {
  const log = Float64Array.of(Math.log(1.7), Math.log(0.05 - LEAST_NOISE), ...Array.from(scales, Math.log));

  it("is scikit-learn's likelihood where the prior is at its top", () => {
    const constant = (targets.length / 2) * Math.log(2 * Math.PI);
    const { value } = negativeLogPosterior(log, log, rows, standard);
    expect(value + constant).toBeCloseTo(-sklearn.processLogLikelihood, 4);
  });

  it('has the gradient of central differences, prior included', () => {
    const random = createRandom('kernel');
    const prior = log.map((value) => value + random.normal());
    const { gradient } = negativeLogPosterior(log, prior, rows, standard);
    // Scales are float32: steps must be wide.
    const h = 1e-3;
    const differences = log.map((value, t) => {
      const at = (delta: number): number =>
        negativeLogPosterior(log.with(t, value + delta), prior, rows, standard).value;
      return (at(h) - at(-h)) / (2 * h);
    });
    expect(gradient).toBeAllclose([...differences], { absolute: 2e-3 });
  });
});

describe('kernelMatrix', () => {
  it('is its definition', () => {
    const matrix = kernelMatrix(rows.subarray(0, 2 * WIDTH), 2, { variance: 1.7, noise: 9, scales });
    let square = 0;
    scales.forEach((scale, p) => (square += (scale * (rows[p]! - rows[WIDTH + p]!)) ** 2));
    expect([...matrix]).toBeAllclose([1.7, 1.7 * Math.exp(-square / 2), 1.7 * Math.exp(-square / 2), 1.7], {
      absolute: 1e-9,
    });
  });
});

describe('fitKernel', () => {
  it('finds which places matter', () => {
    const random = createRandom('relevance');
    const count = 80;
    const x = Float32Array.from({ length: 3 * count }, () => random.normal());
    const y = Float64Array.from({ length: count }, (_, i) => Math.sin(2 * x[3 * i]!) * Math.SQRT2);
    const { scales: found, noise } = fitKernel(x, y, 3);
    expect(found[0]).toBeGreaterThan(3 * found[1]!);
    expect(found[0]).toBeGreaterThan(3 * found[2]!);
    expect(noise).toBeLessThan(0.05);
  });

  it('stands constant places and repeated samples', () => {
    const {
      variance,
      noise,
      scales: found,
    } = fitKernel(new Float32Array(20).fill(1), [1, -1, 1, -1, 1, -1, 1, -1, 1, -1], 2);
    expect([variance, noise, ...found].every(Number.isFinite)).toBe(true);
  });
});
