import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { augment, prepareForEvaluation } from '../../src/data/augment/policy.js';
import type { Batch } from '../../src/data/batchSource.js';
import { SPLITS, type Dataset, type DatasetOptions } from '../../src/data/dataset.js';
import { openDataset, parseDatasetSpec } from '../../src/data/index.js';
import { createLoader, type Loader, type LoaderOptions } from '../../src/data/loader.js';
import { silentLogger } from '../../src/util/logger.js';
import { createRandom } from '../../src/util/random.js';
import { scriptUrl } from '../../src/util/scripts.js';
import { temporaryFolder, writeCifar, writeImageFolder } from './files.js';

async function cifar(perFile = 30): Promise<Dataset> {
  const folder = await temporaryFolder();
  await writeCifar(folder, perFile);
  return openDataset(`cifar10:${folder}`);
}

async function open(
  options: Omit<LoaderOptions, 'seed' | 'batchSize'> & Partial<LoaderOptions>,
): Promise<Loader> {
  const loader = await createLoader({ seed: 5, batchSize: 8, workers: 0, ...options });
  onTestFinished(() => loader.close());
  return loader;
}

async function collect(batches: AsyncIterable<Batch>): Promise<Batch[]> {
  const all: Batch[] = [];
  for await (const batch of batches) all.push(batch);
  return all;
}

const sameBytes = (a: Batch, b: Batch): boolean =>
  Buffer.compare(Buffer.from(a.images.data.buffer), Buffer.from(b.images.data.buffer)) === 0 &&
  a.labels.join() === b.labels.join() &&
  a.indices.join() === b.indices.join();

describe('training batches', () => {
  it('are the same bytes for 0, 1 and 3 workers, and for any order of requests', async () => {
    const dataset = await cifar();
    const reference = await open({ dataset });
    expect(reference.stepsPerEpoch).toBe(Math.floor(130 / 8));
    const requests = Array.from({ length: reference.stepsPerEpoch }, (_, step) => ({
      epoch: 2,
      step,
      imageSize: step % 2 === 0 ? 32 : 24,
    }));
    const want = await collect(reference.trainBatches(requests, 0));
    for (const workers of [0, 1, 3]) {
      const loader = await open({ dataset, workers });
      const inOrder = await collect(loader.trainBatches(requests));
      const backwards = await Promise.all(
        [...requests]
          .reverse()
          .map(({ epoch, step, imageSize }) => loader.trainBatch(epoch, step, imageSize)),
      );
      expect(inOrder.length).toBe(want.length);
      want.forEach((batch, i) => {
        expect(sameBytes(inOrder[i]!, batch)).toBe(true);
        expect(sameBytes(backwards.at(-1 - i)!, batch)).toBe(true);
      });
    }
  });

  it('of an epoch hold every training example at most once, and other epochs another order', async () => {
    const dataset = await cifar();
    const loader = await open({ dataset });
    const epochs: string[] = [];
    for (const epoch of [0, 1]) {
      const steps = Array.from({ length: loader.stepsPerEpoch }, (_, step) => ({
        epoch,
        step,
        imageSize: 32,
      }));
      const batches = await collect(loader.trainBatches(steps));
      const indices = batches.flatMap((batch) => [...batch.indices]);
      expect(indices.length).toBe(128);
      expect(new Set(indices).size).toBe(128);
      for (const { labels, indices: at, images } of batches) {
        expect(images.shape).toEqual([8, 3, 32, 32]);
        expect([...labels]).toEqual([...at].map((i) => dataset.label('train', i)));
      }
      epochs.push(indices.join());
    }
    expect(epochs[0]).not.toBe(epochs[1]);
  });

  it('augment every example by a stream of its own: seed, epoch, index', async () => {
    const dataset = await cifar();
    const loader = await open({ dataset, normalisation: { mean: [0, 0, 0], std: [1, 1, 1] } });
    for (const epoch of [0, 1]) {
      const { images, indices } = await loader.trainBatch(epoch, 2, 32);
      for (const [n, index] of indices.entries()) {
        const random = createRandom(5, 'augment', epoch, index);
        const context = { random, imageSize: 32, fill: [0, 0, 0] };
        const { data } = augment(await dataset.decode('train', index), dataset.defaultPolicy, context);
        const got = images.data.subarray(n * 3072, (n + 1) * 3072);
        expect(Math.max(...got.map((value, i) => Math.abs(value - data[i]! / 255)))).toBeLessThan(1e-6);
      }
    }
  });

  it('depend on the seed', async () => {
    const dataset = await cifar();
    const [a, b] = await Promise.all([open({ dataset }), open({ dataset, seed: 6 })]);
    expect(sameBytes(await a.trainBatch(0, 0, 32), await b.trainBatch(0, 0, 32))).toBe(false);
  });

  it('without augmentation are the normalised pixels', async () => {
    const dataset = await cifar();
    const normalisation = { mean: [0.1, 0.2, 0.3], std: [0.5, 0.6, 0.7] };
    const loader = await open({ dataset, normalisation, policy: { train: [], evaluation: 'resize' } });
    const { images, indices } = await loader.trainBatch(0, 3, 32);
    for (const [n, index] of indices.entries()) {
      const { data } = await dataset.decode('train', index);
      for (let i = 0; i < 3072; i += 97) {
        const c = Math.floor(i / 1024);
        const want = (data[i]! / 255 - normalisation.mean[c]!) / normalisation.std[c]!;
        expect(images.data[n * 3072 + i]).toBeCloseTo(want, 5);
      }
    }
  });

  it('that were prefetched are handed out once and equal those that were not', async () => {
    const dataset = await cifar();
    const loader = await open({ dataset, workers: 1 });
    loader.prefetch(0, 1, 32);
    loader.prefetch(0, 1, 32);
    const first = await loader.trainBatch(0, 1, 32);
    const second = await loader.trainBatch(0, 1, 32);
    expect(first).not.toBe(second);
    expect(sameBytes(first, second)).toBe(true);
  });

  it('outside the epoch are refused', async () => {
    const loader = await open({ dataset: await cifar() });
    await expect(loader.trainBatch(0, loader.stepsPerEpoch, 32)).rejects.toThrow(RangeError);
    await expect(loader.trainBatch(0, -1, 32)).rejects.toThrow(RangeError);
    await expect(createLoader({ dataset: await cifar(), batchSize: 131, seed: 1 })).rejects.toThrow(
      'Cannot make batches of 131 images',
    );
  });
});

describe('evaluation batches', () => {
  it('are the whole split in order, the last one smaller, for any number of workers', async () => {
    const dataset = await cifar();
    const want = await collect((await open({ dataset })).evaluationBatches('test', 24, 8));
    expect(want.map((batch) => batch.labels.length)).toEqual([8, 8, 8, 6]);
    expect(want.flatMap((batch) => [...batch.indices])).toEqual(Array.from({ length: 30 }, (_, i) => i));
    for (const workers of [1, 3]) {
      const got = await collect((await open({ dataset, workers })).evaluationBatches('test', 24, 8));
      expect(got.length).toBe(want.length);
      got.forEach((batch, i) => expect(sameBytes(batch, want[i]!)).toBe(true));
    }
    const image = prepareForEvaluation(await dataset.decode('test', 9), dataset.defaultPolicy, 24);
    const { mean, std } = await dataset.normalisation();
    for (let i = 0; i < image.data.length; i += 53) {
      const c = Math.floor(i / 576);
      expect(want[1]!.images.data[image.data.length + i]).toBeCloseTo(
        (image.data[i]! / 255 - mean[c]!) / std[c]!,
        4,
      );
    }
  });

  it('stop at the limit', async () => {
    const loader = await open({ dataset: await cifar() });
    const batches = await collect(loader.evaluationBatches('validation', 32, 8, 11));
    expect(batches.map((batch) => batch.images.shape[0])).toEqual([8, 3]);
  });
});

describe('calibration batches', () => {
  it('hold training images only, each once, the same for a seed', async () => {
    const dataset = await cifar();
    // Every image of the test's files is random noise: equal pixels mean the same example.
    const loader = await open({ dataset, policy: { train: [], evaluation: 'resize' } });
    const held = new Set<string>();
    for (const split of ['validation', 'test'] as const) {
      for (const { images } of await collect(loader.evaluationBatches(split, 32, 1)))
        held.add(images.data.join());
    }
    expect(held.size).toBe(50);
    const batches = await collect(loader.calibrationBatches(1000, 20, 32, 3));
    const pixels = batches.flatMap(({ images }) =>
      Array.from({ length: images.shape[0]! }, (_, n) =>
        images.data.subarray(n * 3072, (n + 1) * 3072).join(),
      ),
    );
    expect(pixels.length).toBe(130);
    expect(new Set(pixels).size).toBe(130);
    expect(pixels.some((image) => held.has(image))).toBe(false);
  });

  it('are augmented as in training and depend on their seed alone', async () => {
    const dataset = await cifar();
    const a = await collect((await open({ dataset })).calibrationBatches(40, 16, 32, 3));
    const b = await collect((await open({ dataset, seed: 9, workers: 2 })).calibrationBatches(40, 16, 32, 3));
    const c = await collect((await open({ dataset })).calibrationBatches(40, 16, 32, 4));
    const plain = await open({ dataset, policy: { train: [], evaluation: 'resize' } });
    const d = await collect(plain.calibrationBatches(40, 16, 32, 3));
    expect(a.map((batch) => batch.labels.length)).toEqual([16, 16, 8]);
    a.forEach((batch, i) => expect(sameBytes(batch, b[i]!)).toBe(true));
    expect(a[0]!.indices.join()).not.toBe(c[0]!.indices.join());
    expect(a[0]!.indices.join()).toBe(d[0]!.indices.join());
    expect(sameBytes(a[0]!, d[0]!)).toBe(false);
  });
});

describe('folders of images', () => {
  it('give the same bytes with and without cache, for any number of workers', async () => {
    const root = await temporaryFolder();
    await writeImageFolder(root, ['a', 'b'], 20);
    const dataset = await openDataset(root);
    const requests = [0, 1, 2, 0, 1, 2].map((step, i) => ({ epoch: Math.floor(i / 3), step, imageSize: 16 }));
    const want = await collect((await open({ dataset, cacheBytes: 0 })).trainBatches(requests));
    for (const [workers, cacheBytes] of [
      [0, 50_000],
      [1, 1 << 24],
      [3, 50_000],
      [3, 1 << 24],
    ] as const) {
      const loader = await open({ dataset, workers, cacheBytes });
      for (let round = 0; round < 2; round++) {
        const got = await collect(loader.trainBatches(requests));
        got.forEach((batch, i) => expect(sameBytes(batch, want[i]!)).toBe(true));
      }
    }
  });

  /** Divided by the list, which gives validation and test exactly six of 40. */
  function openByList(root: string, options?: DatasetOptions): Promise<Dataset> {
    const { splitRule: _, ...source } = parseDatasetSpec(root, options);
    return openDataset(source);
  }

  /** Some images of every split are not images, whatever they are called. */
  async function damagedFolder(): Promise<{ root: string; damaged: string[] }> {
    const root = await temporaryFolder();
    await writeImageFolder(root, ['a', 'b'], 20);
    const whole = await openByList(root);
    const damaged = SPLITS.flatMap((split) => [0, 1, 4].map((i) => whole.exampleName(split, i)));
    for (const path of damaged) await writeFile(path, `damaged: ${path}`);
    return { root, damaged };
  }

  it('with damaged images fail by name', async () => {
    const { root } = await damagedFolder();
    for (const workers of [0, 1]) {
      const normalisation = { mean: [0, 0, 0], std: [1, 1, 1] };
      const loader = await open({ dataset: await openByList(root), workers, normalisation });
      const steps = Array.from({ length: loader.stepsPerEpoch }, (_, step) => ({
        epoch: 0,
        step,
        imageSize: 16,
      }));
      await expect(collect(loader.trainBatches(steps))).rejects.toThrow(
        new RegExp(`^Cannot decode ${root}/[ab]/\\d+\\.\\w+: .*onCorrupt "skip"`),
      );
    }
  });

  it('with damaged images skip them, the same ones in the same way each time, and tell', async () => {
    const { root, damaged } = await damagedFolder();
    const dataset = await openByList(root, { onCorrupt: 'skip' });
    const runs: { train: Batch[]; test: Batch[]; skipped: readonly string[] }[] = [];
    for (const [workers, backwards] of [
      [0, false],
      [0, true],
      [3, false],
    ] as const) {
      const warnings: string[] = [];
      const logger = { ...silentLogger, warn: (message: string) => void warnings.push(message) };
      const loader = await open({ dataset, workers, logger });
      const steps = Array.from({ length: loader.stepsPerEpoch }, (_, step) => ({
        epoch: 0,
        step,
        imageSize: 16,
      }));
      const train = await collect(loader.trainBatches(backwards ? steps.reverse() : steps));
      const test: Batch[] = [];
      for (const split of ['validation', 'test'] as const) {
        test.push(...(await collect(loader.evaluationBatches(split, 16, 4))));
      }
      runs.push({ train: backwards ? train.reverse() : train, test, skipped: loader.skipped });
      expect(warnings.length).toBe(loader.skipped.length);
      for (const name of loader.skipped) expect(warnings.join('\n')).toContain(`Skipped ${name}: `);
    }
    const [first, ...others] = runs;
    for (const { train, test, skipped } of others) {
      train.forEach((batch, i) => expect(sameBytes(batch, first!.train[i]!)).toBe(true));
      test.forEach((batch, i) => expect(sameBytes(batch, first!.test[i]!)).toBe(true));
      expect(skipped).toEqual(first!.skipped);
    }
    // An epoch leaves out less than a batch: that part of the damaged training images need not have been met.
    for (const name of first!.skipped) expect(damaged).toContain(name);
    expect(first!.skipped.length).toBeGreaterThanOrEqual(6);
    for (const { labels, indices } of first!.train) {
      expect(labels.length).toBe(8);
      for (const index of indices) expect(damaged).not.toContain(dataset.exampleName('train', index));
    }
    // Batches of 4 over six examples, of which 0, 1 and 4 are damaged; once for each split.
    expect(first!.test.map((batch) => [...batch.indices])).toEqual([[2, 3], [5], [2, 3], [5]]);
  });
});

describe('close', () => {
  it('lets batches under way arrive, refuses later requests, and may be called twice', async () => {
    for (const workers of [0, 2]) {
      const loader = await open({ dataset: await cifar(), workers });
      await loader.trainBatch(0, 0, 32);
      const underWay = [1, 2, 3, 4, 5].map((step) => loader.trainBatch(0, step, 32));
      loader.prefetch(0, 6, 32);
      await loader.close();
      await loader.close();
      expect((await Promise.all(underWay)).length).toBe(5);
      await expect(loader.trainBatch(0, 2, 32)).rejects.toThrow('the loader is closed');
    }
  });

  it('lets the process end, and sharp stays unloaded where images are in memory', async () => {
    const folder = await temporaryFolder();
    await writeCifar(folder, 10);
    const url = (path: string): string =>
      JSON.stringify(scriptUrl(import.meta.url.replace('/test/', '/src/'), path).href);
    const script = `
      const { openDataset } = await import(${url('./index.js')});
      const { createLoader } = await import(${url('./loader.js')});
      const dataset = await openDataset('cifar10:' + process.argv[1]);
      const loader = await createLoader({ dataset, batchSize: 4, seed: 1, workers: 2 });
      await loader.trainBatch(0, 0, 32);
      loader.prefetch(0, 1, 32);
      await loader.close();
      const native = process.report.getReport().sharedObjects.filter((name) => /sharp|vips/.test(name));
      console.log('done', native.length);
    `;
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--input-type=module', '-e', script, folder],
      {
        timeout: 30_000,
      },
    );
    expect(stdout).toBe('done 0\n');
  });
});
