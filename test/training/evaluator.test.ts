import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Batch } from '../../src/data/batchSource.js';
import type { Dataset, Split } from '../../src/data/dataset.js';
import { createLoader, type Loader } from '../../src/data/loader.js';
import type { Lane } from '../../src/pipeline/lanes.js';
import type { Runtime } from '../../src/pipeline/runtime.js';
import { sampleArchitecture } from '../../src/space/sampling.js';
import { extractSubnet } from '../../src/supernet/subnet.js';
import {
  SubnetEvaluator,
  type EvaluateAllOptions,
  type EvaluationSettings,
} from '../../src/training/evaluator.js';
import type { Score } from '../../src/training/score.js';
import { UserError } from '../../src/util/errors.js';
import { createRandom } from '../../src/util/random.js';
import { naiveNetwork } from '../support/naiveNetwork.js';
import { disturbedWeights } from '../support/supernets.js';
import { announced, digits, tinySpace, twoThreads } from './support/runs.js';
import '../support/matchers.js';

const space = tinySpace({ dropout: 0.3 });
const weights = disturbedWeights(space, 'evaluator');
const arch = { imageSize: 8, ks: [5, 3], e: [2, 3], d: [2] };
const network = space.network(arch);
const SETTINGS = { calibrationImages: 20, calibrationBatch: 8, evaluationBatch: 16, calibrationSeed: 3 };

let runtime: Runtime;
let dataset: Dataset;
let loader: Loader;
beforeAll(async () => {
  [runtime, dataset] = await Promise.all([twoThreads(), digits(40, 37)]);
  loader = await createLoader({ dataset, batchSize: 8, seed: 1, workers: 0 });
});
afterAll(async () => {
  await loader.close();
  await runtime.dispose();
});

function evaluator(settings: Partial<EvaluationSettings> = {}, from: Loader = loader): SubnetEvaluator {
  return new SubnetEvaluator({
    space,
    weights,
    loader: from,
    engines: runtime,
    settings: { ...SETTINGS, ...settings },
  });
}

async function all(batches: AsyncIterable<Batch>): Promise<Batch[]> {
  const list: Batch[] = [];
  for await (const batch of batches) list.push(batch);
  return list;
}

/** The loader, noting what is asked of it. */
function watched() {
  const asked: string[] = [];
  const watching: Loader = {
    ...announced(loader, () => undefined),
    evaluationBatches: (split, ...rest) => {
      asked.push(split);
      return loader.evaluationBatches(split, ...rest);
    },
    calibrationBatches: (...args) => {
      asked.push('calibration');
      return loader.calibrationBatches(...args);
    },
  };
  return { asked, watching };
}

describe('calibrate', () => {
  it('averages means and within-batch variances, weighted by batch size', async () => {
    const batches = await all(loader.calibrationBatches(20, 8, 8, 3));
    expect(batches.map(({ labels }) => labels.length)).toEqual([8, 8, 4]);
    const expected = new Map<string, Float64Array>();
    for (const { images, labels } of batches) {
      for (const [name, data] of naiveNetwork(network, images, weights, { training: true }).statistics) {
        const sum = expected.get(name) ?? new Float64Array(data.length);
        expected.set(
          name,
          sum.map((v, i) => v + (labels.length / 20) * data[i]!),
        );
      }
    }
    const statistics = await evaluator().calibrate(arch);
    expect([...statistics.keys()].sort()).toEqual([...expected.keys()].sort());
    for (const [name, { data }] of statistics) {
      expect(data, name).toBeAllclose(expected.get(name)!, { relative: 1e-5, absolute: 1e-6 });
    }
  });

  it('takes training images only, and changes no weight', async () => {
    const refs: Split[] = [];
    const noting: Dataset = {
      ...dataset,
      ref: (split, index) => {
        refs.push(split);
        return dataset.ref(split, index);
      },
    };
    const own = await createLoader({ dataset: noting, batchSize: 8, seed: 1, workers: 0 });
    const before = structuredClone(weights);
    await evaluator({}, own).calibrate(arch);
    await own.close();
    expect(refs).toEqual(Array(20).fill('train'));
    expect(weights).toEqual(before);
  });
});

describe('evaluate', () => {
  it.each(['validation', 'test'] as const)('scores the logits of the definition on %s', async (split) => {
    const subject = evaluator();
    const statistics = await subject.calibrate(arch);
    const exported = new Map([...weights, ...statistics]);
    let [top1, top5, loss, count] = [0, 0, 0, 0];
    for (const { images, labels } of await all(loader.evaluationBatches(split, 8, 10))) {
      const { data } = naiveNetwork(network, images, exported, { training: false }).y;
      labels.forEach((label, row) => {
        const logits = [...data.subarray(row * 10, row * 10 + 10)];
        const rank = logits.filter((v) => v > logits[label]!).length;
        top1 += Number(rank === 0);
        top5 += Number(rank < 5);
        loss += Math.log(logits.reduce((sum, v) => sum + Math.exp(v), 0)) - logits[label]!;
        count++;
      });
    }
    const score = await subject.evaluate(arch, split);
    expect(score).toMatchObject({ top1: top1 / count, top5: top5 / count, count: 37 });
    expect(score.loss).toBeCloseTo(loss / count, 4);
  });

  it('gives the same numbers again: from the cache, without one, and in another evaluator', async () => {
    const subject = evaluator();
    const first = await subject.evaluate(arch, 'validation');
    expect(await subject.evaluate(arch, 'validation')).toEqual(first);
    expect(await evaluator({ cacheBytes: 0 }).evaluate(arch, 'validation')).toEqual(first);
  });

  it('does not depend on how the images fall into batches', async () => {
    const sizes = [1, 16, 37, 50];
    const scores = [];
    for (const evaluationBatch of sizes)
      scores.push(await evaluator({ evaluationBatch }).evaluate(arch, 'validation'));
    for (const { top1, top5, count, loss } of scores) {
      expect([top1, top5, count]).toEqual([scores[0]!.top1, scores[0]!.top5, 37]);
      expect(loss).toBeCloseTo(scores[0]!.loss, 5);
    }
  });

  it('takes the statistics of the supernet where that is asked for', async () => {
    const { asked, watching } = watched();
    const score = await evaluator({}, watching).evaluate(arch, 'validation', { calibrate: false });
    expect(asked).toEqual(['validation']);
    expect(score).toEqual(await evaluator().score(network, extractSubnet(weights, network), 'validation'));
    expect(score.loss).not.toBeCloseTo((await evaluator().evaluate(arch, 'validation')).loss, 3);
  });

  it('takes statistics that were calibrated before, without calibrating again', async () => {
    const { asked, watching } = watched();
    const statistics = await evaluator().calibrate(arch);
    const score = await evaluator({}, watching).evaluate(arch, 'validation', { statistics });
    expect(asked).toEqual(['validation']);
    expect(score).toEqual(await evaluator().evaluate(arch, 'validation'));
  });

  it('stops at the limit', async () => {
    expect((await evaluator({ limit: 20 }).evaluate(arch, 'validation')).count).toBe(20);
    await expect(evaluator({ limit: 0 }).evaluate(arch, 'validation')).rejects.toThrow(UserError);
  });

  it('notes the accuracy on the first shares of the images, where it is asked to', async () => {
    const subject = evaluator({ evaluationBatch: 10 });
    const score = await subject.evaluate(arch, 'validation', { shares: [0.1, 0.5] });
    const limited = async (limit: number) =>
      (await evaluator({ evaluationBatch: 10, limit }).evaluate(arch, 'validation')).top1;
    // Of 37 images, wherever batches end.
    expect(score.learningCurve).toEqual([
      { at: 0.1, top1: await limited(4) },
      { at: 0.5, top1: await limited(19) },
    ]);
    expect(await subject.evaluate(arch, 'validation')).not.toHaveProperty('learningCurve');
  });

  it('sees changes of the weights', async () => {
    const changing = new Map(weights);
    const subject = new SubnetEvaluator({
      space,
      weights: changing,
      loader,
      engines: runtime,
      settings: SETTINGS,
    });
    const before = await subject.evaluate(arch, 'validation');
    changing.set('classifier.linear.weight', {
      ...changing.get('classifier.linear.weight')!,
      data: new Float32Array(160),
    });
    const after = await subject.evaluate(arch, 'validation');
    expect(after).not.toEqual(before);
  });

  it('refuses architectures outside the space', async () => {
    await expect(evaluator().evaluate({ ...arch, imageSize: 9 }, 'test')).rejects.toThrow(RangeError);
  });
});

describe('the cache of batches', () => {
  const CALIBRATION_BYTES = 20 * 8 * 8 * 4;
  const VALIDATION_BYTES = 37 * 8 * 8 * 4;

  async function askedTwice(cacheBytes: number): Promise<string[]> {
    const { asked, watching } = watched();
    const subject = evaluator({ cacheBytes }, watching);
    await subject.evaluate(arch, 'validation');
    asked.length = 0;
    await subject.evaluate(arch, 'validation');
    return asked;
  }

  it('keeps what fits, and nothing beyond the bound', async () => {
    expect(await askedTwice(0)).toEqual(['calibration', 'validation']);
    expect(await askedTwice(CALIBRATION_BYTES - 1)).toEqual(['calibration', 'validation']);
    expect(await askedTwice(CALIBRATION_BYTES)).toEqual(['validation']);
    expect(await askedTwice(CALIBRATION_BYTES + VALIDATION_BYTES - 1)).toEqual(['validation']);
    expect(await askedTwice(CALIBRATION_BYTES + VALIDATION_BYTES)).toEqual([]);
  });

  it('keeps batches of each split and image size apart', async () => {
    const subject = evaluator();
    const small = await subject.evaluate(arch, 'validation');
    const large = await subject.evaluate({ ...arch, imageSize: 12 }, 'validation');
    const test = await subject.evaluate(arch, 'test');
    expect(new Set([small.loss, large.loss, test.loss]).size).toBe(3);
    expect(large).toEqual(await evaluator().evaluate({ ...arch, imageSize: 12 }, 'validation'));
  });
});

describe('evaluateAll', () => {
  const archs = Array.from({ length: 9 }, (_, i) =>
    sampleArchitecture(space.genes, createRandom('evaluateAll', i)),
  );
  const together = async (
    subject: SubnetEvaluator,
    options: EvaluateAllOptions = {},
  ): Promise<Map<number, Score>> => {
    const told = new Map<number, Score>();
    let telling = false;
    const tell = async (index: number, score: Score): Promise<void> => {
      expect(telling).toBe(false);
      telling = true;
      await Promise.resolve();
      expect(told.has(index)).toBe(false);
      told.set(index, score);
      telling = false;
    };
    await subject.evaluateAll(archs, 'validation', tell, { shares: [0.25], ...options });
    return told;
  };
  const lanesOf = (count: number): Promise<Lane[]> =>
    Promise.all(Array.from({ length: count }, () => runtime.lanes!.open(1)));

  it.each([
    ['one after the other', 0, 1e9],
    ['one after the other, where images are loaded again and again', 0, 0],
    ['side by side', 2, 1e9],
    ['side by side, on batches that do not fit', 3, 10_000],
  ])('gives the scores of evaluate: %s', async (_, count, cacheBytes) => {
    const single = evaluator();
    const lanes = await lanesOf(count);
    try {
      const throughput = { lanes: count === 0 ? [runtime] : lanes, evaluationBatch: count === 2 ? 7 : 16 };
      const told = await together(evaluator({ cacheBytes }), { throughput });
      expect([...told.keys()].sort()).toEqual([...archs.keys()]);
      for (const [index, score] of told) {
        const alone = await single.evaluate(archs[index]!, 'validation', { shares: [0.25] });
        expect({ ...score, loss: 0 }).toEqual({ ...alone, loss: 0 });
        expect(score.loss).toBeCloseTo(alone.loss, 5);
      }
    } finally {
      for (const lane of lanes) await lane.close();
    }
  });

  it('loads the images of a size once where they fit', async () => {
    const { asked, watching } = watched();
    await together(evaluator({ cacheBytes: 1e9 }, watching));
    const sizes = new Set(archs.map(({ imageSize }) => imageSize)).size;
    expect(asked.sort()).toEqual([
      ...Array<string>(sizes).fill('calibration'),
      ...Array<string>(sizes).fill('validation'),
    ]);
  });

  it('stops on a signal, and passes on what fails', async () => {
    const controller = new AbortController();
    const heard: number[] = [];
    const tell = (index: number): Promise<void> => {
      heard.push(index);
      controller.abort();
      return Promise.resolve();
    };
    await evaluator().evaluateAll(archs, 'validation', tell, { signal: controller.signal });
    expect(heard).toHaveLength(1);
    const failing = (): Promise<void> => Promise.reject(new Error('the disk is full'));
    await expect(evaluator().evaluateAll(archs, 'validation', failing)).rejects.toThrow('the disk is full');
    const outside = [{ ...arch, imageSize: 9 }];
    await expect(evaluator().evaluateAll(outside, 'test', tell)).rejects.toThrow(RangeError);
  });
});
