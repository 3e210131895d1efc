import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { truncate, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SPLITS, type Dataset } from '../../src/data/dataset.js';
import { datasets, openDataset, parseDatasetSpec } from '../../src/data/index.js';
import { checkCifarRecords } from '../../src/data/sources/cifar10.js';
import { UserError } from '../../src/util/errors.js';
import { cifarBytes, CIFAR_FILES, fashionFiles, temporaryFolder, writeCifar, writeFashion } from './files.js';

/** Examples of all splits by the name of the data set's own position. */
function examples(dataset: Dataset): Map<string, { split: string; label: number }> {
  const found = new Map<string, { split: string; label: number }>();
  for (const split of SPLITS) {
    for (let i = 0; i < dataset.splitSize(split); i++) {
      const name = dataset.exampleName(split, i);
      expect(found.has(name)).toBe(false);
      found.set(name, { split, label: dataset.label(split, i) });
    }
  }
  return found;
}

describe('openDataset', () => {
  it('lists the known names for an unknown one', async () => {
    await expect(openDataset('imagenet')).rejects.toThrow(
      'Unknown data set "imagenet": known are cifar10, fashion-mnist, imagefolder, mnist',
    );
    await expect(openDataset('nope:/tmp')).rejects.toThrow('Unknown data set "nope"');
  });

  it('says that a folder is missing', async () => {
    await expect(openDataset('cifar10:/no/such')).rejects.toThrow(
      'Cannot open data set "cifar10": there is no folder "/no/such"',
    );
    await expect(openDataset('/no/such')).rejects.toThrow(
      'Cannot open data set /no/such: there is no such folder',
    );
    await expect(openDataset('cifar10')).rejects.toThrow(UserError);
    await expect(openDataset('imagefolder')).rejects.toThrow(UserError);
  });

  it('takes a bare folder for a folder of images, and colons in paths', async () => {
    const folder = await temporaryFolder();
    expect(parseDatasetSpec(folder)).toMatchObject({ name: 'imagefolder', path: folder });
    expect(parseDatasetSpec(`cifar10:${folder}`)).toMatchObject({ name: 'cifar10', path: folder });
  });

  it('keeps where the files are, not how they were named from here', () => {
    expect(parseDatasetSpec('imagefolder:src/data')).toMatchObject({ path: resolve('src/data') });
    expect(parseDatasetSpec('./src/data')).toMatchObject({ path: resolve('src/data') });
  });

  it('has a one-line summary for every data set', () => {
    for (const [name, { summary }] of datasets) expect(`${name} ${summary}`).toMatch(/^[^\n]{20,200}$/);
  });
});

describe('mnist', () => {
  it('has 10,000 digits in 70/15/15 splits, and the package bytes', async () => {
    const dataset = await openDataset('mnist');
    // Shares are rounded class by class: off by half an example a class at most.
    expect(Math.abs(dataset.splitSize('train') - 7000)).toBeLessThanOrEqual(10);
    expect(Math.abs(dataset.splitSize('validation') - 1500)).toBeLessThanOrEqual(5);
    expect(Math.abs(dataset.splitSize('test') - 1500)).toBeLessThanOrEqual(5);
    expect(examples(dataset).size).toBe(10000);
    // Ink of the sample's pixels must give the constants that the literature uses for MNIST.
    let sum = 0;
    let squares = 0;
    for (let i = 0; i < 2000; i++) {
      for (const value of (await dataset.decode('train', i)).data) {
        sum += value / 255;
        squares += (value / 255) ** 2;
      }
    }
    const mean = sum / (2000 * 784);
    expect(mean).toBeCloseTo(0.1307, 2);
    expect(Math.sqrt(squares / (2000 * 784) - mean ** 2)).toBeCloseTo(0.3081, 2);
  });

  it('opens to the same splits again from its source as JSON', async () => {
    const dataset = await openDataset('mnist', { splitSeed: 3 });
    const again = await openDataset(JSON.parse(JSON.stringify(dataset.source)) as typeof dataset.source);
    for (const split of SPLITS) {
      for (let i = 0; i < 100; i++) expect(again.exampleName(split, i)).toBe(dataset.exampleName(split, i));
    }
  });

  it('names a damaged file', async () => {
    const folder = await temporaryFolder();
    await expect(openDataset(`mnist:${folder}`)).rejects.toThrow(
      `Cannot read ${folder}/0.json: there is no such file`,
    );
    for (let i = 0; i < 10; i++) await writeFile(`${folder}/${i}.json`, '{"data":[0,0.5]}');
    await expect(openDataset(`mnist:${folder}`)).rejects.toThrow('wanted grey values in [0, 1], 784 a digit');
  });
});

/** Debian's package dataset-fashion-mnist puts the real files there. */
const debianFashion = existsSync('/usr/share/datasets/fashion-mnist');

describe('fashion-mnist', () => {
  it.skipIf(!debianFashion)('reads the real files of the Debian package dataset-fashion-mnist', async () => {
    const dataset = await openDataset('fashion-mnist');
    expect(SPLITS.map((split) => dataset.splitSize(split))).toEqual([54_000, 6_000, 10_000]);
    const { mean, std } = await dataset.normalisation();
    const { data } = await dataset.decode('train', 0);
    expect(data).toHaveLength(784);
    // The published statistics of the training images.
    expect(mean[0]).toBeCloseTo(0.286, 2);
    expect(std[0]).toBeCloseTo(0.353, 2);
    for (let label = 0; label < 10; label++) {
      const count = Array.from({ length: 10_000 }, (_, i) => dataset.label('test', i)).filter(
        (l) => l === label,
      ).length;
      expect(count).toBe(1000);
    }
  });

  it.each([false, true])('reads its IDX files (gz: %s)', async (gz) => {
    const folder = await temporaryFolder();
    const files = fashionFiles(200, 40);
    await writeFashion(folder, files, gz);
    const dataset = await openDataset(`fashion-mnist:${folder}`);
    expect(SPLITS.map((split) => dataset.splitSize(split))).toEqual([180, 20, 40]);
    const found = examples(dataset);
    for (const [name, { split, label }] of found) {
      const position = Number(/image (\d+)$/.exec(name)![1]);
      expect(label).toBe(position % 10);
      expect(name.includes('t10k')).toBe(split === 'test');
    }
    const images = files.get('t10k-images-idx3-ubyte')!;
    const position = Number(/image (\d+)$/.exec(dataset.exampleName('test', 5))![1]);
    const { data, channels, height, width } = await dataset.decode('test', 5);
    expect([channels, height, width]).toEqual([1, 28, 28]);
    expect([...data]).toEqual([...images.subarray(16 + position * 784, 16 + (position + 1) * 784)]);
  });

  it('names what is missing, truncated, or does not fit together', async () => {
    const folder = await temporaryFolder();
    await expect(openDataset(`fashion-mnist:${folder}`)).rejects.toThrow(
      /there is neither .*train-images-idx3-ubyte/,
    );
    const files = fashionFiles(50, 20);
    await writeFashion(folder, files, false);
    const labels = join(folder, 't10k-labels-idx1-ubyte');
    await truncate(labels, 20);
    await expect(openDataset(`fashion-mnist:${folder}`)).rejects.toThrow(
      `Cannot read ${labels}: its header announces`,
    );
    await writeFile(labels, fashionFiles(50, 19).get('t10k-labels-idx1-ubyte')!);
    await expect(openDataset(`fashion-mnist:${folder}`)).rejects.toThrow('19 labels for 20 images');
    const wrong = Buffer.from(files.get('t10k-labels-idx1-ubyte')!);
    wrong[8 + 3] = 11;
    await writeFile(labels, wrong);
    await expect(openDataset(`fashion-mnist:${folder}`)).rejects.toThrow('label 3 is 11');
  });
});

describe('cifar10', () => {
  it('reads the binary version', async () => {
    const folder = await temporaryFolder();
    await writeCifar(folder, 30);
    const dataset = await openDataset(`cifar10:${folder}`);
    expect(SPLITS.map((split) => dataset.splitSize(split))).toEqual([130, 20, 30]);
    const sources = new Map(CIFAR_FILES.map((name) => [name, cifarBytes(30, name)]));
    for (const split of SPLITS) {
      for (let i = 0; i < dataset.splitSize(split); i++) {
        const [, file, record] = /([^/]+) record (\d+)$/.exec(dataset.exampleName(split, i))!;
        const start = Number(record) * 3073;
        const bytes = sources.get(file!)!;
        expect(dataset.label(split, i)).toBe(bytes[start]);
        expect(
          Buffer.compare((await dataset.decode(split, i)).data, bytes.subarray(start + 1, start + 3073)),
        ).toBe(0);
        expect(file === 'test_batch.bin').toBe(split === 'test');
      }
    }
    expect(() => dataset.label('test', 30)).toThrow(RangeError);
  });

  it('names a truncated or missing file', async () => {
    const folder = await temporaryFolder();
    await writeCifar(folder, 20);
    await truncate(join(folder, 'data_batch_3.bin'), 20 * 3073 - 1);
    await expect(openDataset(`cifar10:${folder}`)).rejects.toThrow(
      `Cannot read ${folder}/data_batch_3.bin: a whole number of records of 3073 bytes is wanted`,
    );
    const empty = await temporaryFolder();
    await expect(openDataset(`cifar10:${empty}`)).rejects.toThrow('there is no such file');
  });

  it('throws nothing but UserError for random bytes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3 * 3073 }), fc.nat(), (length, seed) => {
        const bytes = new Uint8Array(
          createHash('shake256', { outputLength: Math.max(1, length) })
            .update(`${seed}`)
            .digest(),
        );
        try {
          expect(checkCifarRecords(bytes.subarray(0, length), 'f')).toBe(length / 3073);
        } catch (error) {
          expect(error).toBeInstanceOf(UserError);
        }
      }),
    );
    expect(() => checkCifarRecords(new Uint8Array(3073).fill(10), 'f')).toThrow('record 0 has label 10');
  });
});
