/** Data sets that have other channels than a space takes, or fewer images than a batch. */
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Batch } from '../../src/data/batchSource.js';
import { openDataset } from '../../src/data/index.js';
import type { Loader } from '../../src/data/loader.js';
import { openLoader } from '../../src/pipeline/run.js';
import { openRunLoader } from '../../src/pipeline/runData.js';
import { openRun } from '../../src/pipeline/run.js';
import { train } from '../../src/pipeline/train.js';
import type { SearchSpace } from '../../src/space/space.js';
import { silentLogger, type Logger } from '../../src/util/logger.js';
import { fewDigits } from '../cli/support/fixture.js';
import { temporaryFolder } from '../cli/support/folder.js';
import { writeCifar } from '../data/files.js';
import { tinySchedule, tinySpace } from '../training/support/runs.js';

const path = temporaryFolder();
const SIDE = 12;
const grey = tinySpace({ imageSizes: [SIDE], inputChannels: 1, classes: 2, dropout: 0 });
const colour = tinySpace({ imageSizes: [SIDE], inputChannels: 3, classes: 2, dropout: 0 });

/** Images of one value a class: `values` are grey, or red, green, blue. */
async function writeFlat(
  root: string,
  classes: Record<string, readonly number[]>,
  count: number,
): Promise<string> {
  for (const [name, values] of Object.entries(classes)) {
    for (let i = 0; i < count; i++) {
      const file = join(root, name, `${i}.png`);
      await mkdir(dirname(file), { recursive: true });
      const channels = values.length as 1 | 3;
      const data = Uint8Array.from({ length: SIDE * SIDE * channels }, (_, at) => values[at % channels]! + i);
      await sharp(data, { raw: { width: SIDE, height: SIDE, channels } })
        .png()
        .toFile(file);
    }
  }
  return root;
}

function noting(): { logger: Logger; said: string[] } {
  const said: string[] = [];
  const note = (message: string): void => void said.push(message);
  return { logger: { ...silentLogger, info: note, warn: note }, said };
}

async function open(
  space: SearchSpace,
  data: string,
  settings: { workers?: number; batchSize?: number; logger?: Logger } = {},
): Promise<Loader> {
  const loader = await openLoader(space, data, { batchSize: 4, seed: 1, workers: 0, ...settings });
  onTestFinished(() => loader.close());
  return loader;
}

async function testImages(loader: Loader): Promise<Batch[]> {
  const batches: Batch[] = [];
  for await (const batch of loader.evaluationBatches('test', SIDE, 4)) batches.push(batch);
  return batches;
}

/** Pixels in 0..255 of a normalised batch. */
function pixels(loader: Loader, { images }: Batch): number[] {
  const [, channels, height, width] = images.shape as [number, number, number, number];
  const { mean, std } = loader.normalisation;
  return Array.from(images.data, (value, i) => {
    const c = Math.floor(i / (height * width)) % channels;
    return 255 * (value * std[c]! + mean[c]!);
  });
}

describe('channels', () => {
  it('of colour images in a space of one channel are luma', async () => {
    const data = await writeFlat(path('colours'), { a: [200, 20, 60], b: [10, 90, 30] }, 12);
    const { logger, said } = noting();
    const loader = await open(grey, data, { logger });
    expect(said).toEqual([expect.stringMatching(/are made grey: space ".*" takes 1 channel$/)]);
    expect(loader.normalisation.mean).toHaveLength(1);
    for (const batch of await testImages(loader)) {
      expect(batch.images.shape.slice(1)).toEqual([1, SIDE, SIDE]);
      const values = pixels(loader, batch);
      batch.indices.forEach((index, at) => {
        const [name, number] = /(\w)\/(\d+)\.png$/.exec(loader.dataset.exampleName('test', index))!.slice(1);
        const luma = (name === 'a' ? [200, 20, 60] : [10, 90, 30]).reduce(
          (sum, value, c) => sum + (value + Number(number)) * [0.299, 0.587, 0.114][c]!,
          0,
        );
        expect(Math.abs(values[at * SIDE * SIDE]! - luma)).toBeLessThan(0.6);
      });
    }
    // Threads and a source that was kept as JSON give the same bytes.
    const threaded = await open(grey, data, { workers: 1 });
    const source = JSON.parse(JSON.stringify(loader.dataset.source)) as typeof loader.dataset.source;
    const again = await openLoader(grey, source, { batchSize: 4, seed: 1, workers: 0 });
    onTestFinished(() => again.close());
    expect(again.dataset.source).toEqual(loader.dataset.source);
    expect(again.normalisation).toEqual(loader.normalisation);
    for (const other of [threaded, again]) expect(await testImages(other)).toEqual(await testImages(loader));
  });

  it('of grey images stay exactly what they are, in spaces of one channel and of three', async () => {
    const data = await writeFlat(path('greys'), { a: [30], b: [190] }, 12);
    const one = await open(grey, data);
    const three = await open(colour, data);
    expect(three.dataset.source).not.toHaveProperty('channels');
    for (const [i, batch] of (await testImages(one)).entries()) {
      const values = pixels(one, batch);
      batch.indices.forEach((index, at) => {
        const file = one.dataset.exampleName('test', index);
        const wanted = (file.includes('/a/') ? 30 : 190) + Number(/(\d+)\.png$/.exec(file)![1]);
        expect(values[at * SIDE * SIDE]).toBeCloseTo(wanted, 2);
      });
      const spread = pixels(three, (await testImages(three))[i]!);
      spread.forEach((value, at) => {
        const image = Math.floor(at / (3 * SIDE * SIDE));
        expect(value).toBeCloseTo(values[image * SIDE * SIDE]!, 2);
      });
    }
  });

  it('of data sets in memory are converted, with their constants', async () => {
    const digits = await open(
      tinySpace({ imageSizes: [SIDE], inputChannels: 3, classes: 10 }),
      fewDigits(path('digits')),
    );
    expect(digits.normalisation).toEqual({ mean: [0.1307, 0.1307, 0.1307], std: [0.3081, 0.3081, 0.3081] });
    const [batch] = await testImages(digits);
    const area = SIDE * SIDE;
    for (let i = 0; i < area; i++) {
      expect(batch!.images.data[i]).toBe(batch!.images.data[area + i]);
      expect(batch!.images.data[i]).toBe(batch!.images.data[2 * area + i]);
    }
    await mkdir(path('cifar'));
    await writeCifar(path('cifar'), 20);
    const photos = await open(
      tinySpace({ imageSizes: [SIDE], inputChannels: 1, classes: 10 }),
      `cifar10:${path('cifar')}`,
    );
    const natural = await openDataset(`cifar10:${path('cifar')}`);
    const image = await natural.decode('test', 3);
    const { channels, data } = await photos.dataset.decode('test', 3);
    expect(channels).toBe(1);
    for (let i = 0; i < 32 * 32; i++) {
      const luma = 0.299 * image.data[i]! + 0.587 * image.data[1024 + i]! + 0.114 * image.data[2048 + i]!;
      expect(Math.abs(data[i]! - luma)).toBeLessThanOrEqual(0.5);
    }
    // Uniform noise of bytes: the spread of a weighted sum of three.
    const spread = Math.hypot(0.299, 0.587, 0.114) / Math.sqrt(12);
    expect(Math.abs(photos.normalisation.std[0]! - spread)).toBeLessThan(0.01);
  });

  it('are those of the run when it is opened again, also with other data', async () => {
    const data = await writeFlat(path('run-data'), { a: [220, 10, 10], b: [10, 10, 90] }, 20);
    const trained = await train({
      space: grey,
      data,
      schedule: tinySchedule({
        phases: [{ name: 'only', epochs: 6, learningRate: 0.1, subnets: ['largest'] }],
      }),
      folder: path('run'),
      seed: 0,
      threads: 1,
      workers: 0,
      evaluation: { calibrationImages: 16, calibrationBatch: 8 },
      logger: silentLogger,
    });
    expect(trained.steps).toBeGreaterThan(0);
    const run = await openRun(path('run'));
    expect(run.data).toMatchObject({ name: 'imagefolder', channels: 1 });
    expect(run.record!.normalisation.mean).toHaveLength(1);
    const other = await writeFlat(path('other-data'), { a: [70], b: [20] }, 20);
    for (const given of [undefined, data, other]) {
      const loader = await openRunLoader(run, { data: given }, { batchSize: 1, seed: 0, workers: 0 });
      onTestFinished(() => loader.close());
      expect(loader.dataset.imageChannels).toBe(1);
      expect(loader.normalisation).toEqual(run.record!.normalisation);
      expect((await testImages(loader))[0]!.images.shape[1]).toBe(1);
    }
  });
});

it('fewer images than a batch make smaller batches, with a word, and finite losses', async () => {
  const data = await writeFlat(path('few'), { a: [220, 10, 10], b: [10, 10, 90] }, 3);
  const { logger, said } = noting();
  const settings = {
    space: colour,
    data,
    schedule: tinySchedule({
      batchSize: 64,
      phases: [{ name: 'only', epochs: 3, learningRate: 0.1, subnets: ['largest'] }],
    }),
    seed: 0,
    threads: 1,
    workers: 0,
    evaluation: { calibrationImages: 16, calibrationBatch: 8 },
    logger,
  };
  const { steps, weights } = await train({ ...settings, folder: path('few-run') });
  expect(steps).toBe(3);
  for (const tensor of weights.values())
    expect(tensor.data.every((value) => Number.isFinite(value))).toBe(true);
  expect(said.filter((line) => line.includes('fewer than a batch of 64'))).toHaveLength(1);
  // The finished run is found again: batches have the same size.
  expect((await train({ ...settings, folder: path('few-run') })).steps).toBe(3);
});
