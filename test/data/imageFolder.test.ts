import { execFileSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { describe, expect, it } from 'vitest';
import { SPLITS, type Dataset, type Split } from '../../src/data/dataset.js';
import { openDataset, parseDatasetSpec } from '../../src/data/index.js';
import { UserError } from '../../src/util/errors.js';
import { sharedData } from '../support/sharedData.js';
import { temporaryFolder, writeImage, writeImageFolder } from './files.js';

const CLASSES = ['ant', 'bee', 'cow'];

const names = (dataset: Dataset, split: Split): string[] =>
  Array.from({ length: dataset.splitSize(split) }, (_, i) => dataset.exampleName(split, i));

const sizes = (dataset: Dataset): number[] => SPLITS.map((split) => dataset.splitSize(split));

describe('imagefolder', () => {
  it('splits CLASS/IMAGE about 70/15/15 and decodes every format', async () => {
    const root = await temporaryFolder();
    await writeImageFolder(root, CLASSES, 20);
    const dataset = await openDataset(root);
    expect(dataset.classes).toEqual(CLASSES);
    // Every image by itself: one split may have a few more than its share, but each has images of every class.
    const [train, validation, test] = sizes(dataset);
    expect(train! + validation! + test!).toBe(60);
    expect(Math.abs(train! - 42)).toBeLessThan(12);
    for (const split of SPLITS) {
      const labels = Array.from({ length: dataset.splitSize(split) }, (_, i) => dataset.label(split, i));
      expect(new Set(labels).size).toBe(3);
    }
    const all = SPLITS.flatMap((split) => names(dataset, split));
    expect(new Set(all).size).toBe(60);
    for (const split of SPLITS) {
      for (let i = 0; i < dataset.splitSize(split); i++) {
        const name = dataset.exampleName(split, i);
        const label = dataset.label(split, i);
        expect(name).toContain(`/${CLASSES[label]!}/`);
        const { data, channels, height, width } = await dataset.decode(split, i);
        const number = Number(/(\d+)\.\w+$/.exec(name)![1]);
        expect([channels, height, width]).toEqual([3, 36 + 5 * (number % 7), 40 + 7 * (number % 5)]);
        const red = data.subarray(0, height * width).reduce((sum, v) => sum + v, 0) / (height * width);
        expect(Math.abs(red - (40 + 60 * label))).toBeLessThan(6);
      }
    }
    expect(dataset.imageSize).toBeUndefined();
    expect(dataset.defaultPolicy.evaluation).toBe('centreCrop');
    const again = await openDataset(dataset.source);
    for (const split of SPLITS) expect(names(again, split)).toEqual(names(dataset, split));
    const other = await openDataset(root, { splitSeed: 1 });
    expect(names(other, 'train')).not.toEqual(names(dataset, 'train'));
  });

  it.each([
    { parts: ['train', 'test'], others: [15] },
    { parts: ['train', 'val'], others: [15] },
    { parts: ['train', 'val', 'test'], others: [15, 15] },
  ])('takes the parts $parts as they are', async ({ parts, others }) => {
    const root = await temporaryFolder();
    for (const part of parts) await writeImageFolder(join(root, part), CLASSES, part === 'train' ? 10 : 5);
    const dataset = await openDataset(`imagefolder:${root}`);
    const [train, ...rest] = sizes(dataset);
    expect(rest.slice(-others.length)).toEqual(others);
    // Where there is no validation part, each class gives one image of its ten, or a few.
    const taken = 30 - train!;
    if (others.length === 2) expect(taken).toBe(0);
    else expect([taken, taken >= 3 && taken <= 9]).toEqual([rest[0], true]);
    expect(names(dataset, 'train').every((name) => name.includes('/train/'))).toBe(true);
    const testPart = parts.at(-1)!;
    expect(names(dataset, 'test').every((name) => name.includes(`/${testPart}/`))).toBe(true);
    const validationPart = parts.length === 3 ? 'val' : 'train';
    expect(names(dataset, 'validation').every((name) => name.includes(`/${validationPart}/`))).toBe(true);
  });

  it.each(['', 'train'])(
    'divides by the list as older versions did, whatever they did not read (%s)',
    async (part) => {
      const root = await temporaryFolder();
      await writeImageFolder(join(root, part), CLASSES, 20);
      if (part !== '') await writeImageFolder(join(root, 'test'), CLASSES, 3);
      const { splitRule: _, ...old } = parseDatasetSpec(root);
      const before = await openDataset(old);
      if (part === '') expect(sizes(before)).toEqual([42, 9, 9]);
      else expect(sizes(before)).toEqual([54, 6, 9]);
      await writeImage(join(root, part, 'ant', '00.tif'), 40, 30, [1, 2, 3]);
      await writeImage(join(root, part, 'bee', 'more', '00.png'), 40, 30, [1, 2, 3]);
      const after = await openDataset(old);
      const isNew = (name: string): boolean => /00\.tif$|more/.test(name);
      for (const split of SPLITS)
        expect(names(after, split).filter((name) => !isNew(name))).toEqual(names(before, split));
      expect(sizes(after).reduce((a, b) => a + b)).toBe(sizes(before).reduce((a, b) => a + b) + 2);
    },
  );

  it('treats images of one small size like CIFAR', async () => {
    const root = await temporaryFolder();
    for (const name of CLASSES) {
      for (let i = 0; i < 6; i++) await writeImage(join(root, name, `${i}.png`), 24, 24, [i, 2, 3]);
    }
    const dataset = await openDataset(root);
    expect(dataset.imageSize).toEqual({ height: 24, width: 24 });
    expect(dataset.defaultPolicy.evaluation).toBe('resize');
  });

  it('decodes grey, alpha, 16 bits and turned photos to what a viewer shows', async () => {
    const root = await temporaryFolder();
    await writeImageFolder(root, ['a', 'b'], 4);
    const folder = join(root, 'a');
    const flat = (channels: 3 | 4, values: readonly number[]): Sharp =>
      sharp(
        Uint8Array.from({ length: 6 * 4 * channels }, (_, i) => values[i % channels]!),
        {
          raw: { width: 6, height: 4, channels },
        },
      );
    await flat(3, [80, 80, 80]).toColourspace('b-w').png().toFile(join(folder, 'grey.png'));
    await flat(4, [10, 20, 30, 0]).png().toFile(join(folder, 'alpha.png'));
    await flat(3, [100, 150, 200]).toColourspace('rgb16').png().toFile(join(folder, 'deep.png'));
    // Orientation 6: the camera was turned, the viewer shows it 4 wide and 6 high.
    await flat(3, [200, 100, 50]).withMetadata({ orientation: 6 }).png().toFile(join(folder, 'turned.png'));
    await sharp({ create: { width: 1500, height: 700, channels: 3, background: 'red' } })
      .jpeg()
      .toFile(join(folder, 'large.jpg'));
    const dataset = await openDataset(root);
    const find = async (file: string): Promise<{ size: number[]; pixel: number[] }> => {
      for (const split of SPLITS) {
        const i = names(dataset, split).findIndex((name) => name.endsWith(file));
        if (i < 0) continue;
        const { data, channels, height, width } = await dataset.decode(split, i);
        expect(channels).toBe(3);
        return { size: [height, width], pixel: [0, 1, 2].map((c) => data[c * height * width + 3]!) };
      }
      throw new Error(file);
    };
    expect(await find('grey.png')).toEqual({ size: [4, 6], pixel: [80, 80, 80] });
    // As on white paper: what a file hides under transparency nobody sees.
    expect(await find('alpha.png')).toEqual({ size: [4, 6], pixel: [255, 255, 255] });
    expect(await find('deep.png')).toEqual({ size: [4, 6], pixel: [100, 150, 200] });
    expect(await find('turned.png')).toEqual({ size: [6, 4], pixel: [200, 100, 50] });
    expect((await find('large.jpg')).size).toEqual([512, 1097]);
  });

  it('measures mean and standard deviation, in any order of decoding the same', async () => {
    const root = await temporaryFolder();
    await writeImageFolder(root, CLASSES, 10);
    const dataset = await openDataset(root);
    const sums = [0, 0, 0];
    const squares = [0, 0, 0];
    const count = dataset.splitSize('train');
    for (let i = 0; i < count; i++) {
      const { data, height, width } = await dataset.decode('train', i);
      for (let c = 0; c < 3; c++) {
        const plane = [...data.subarray(c * height * width, (c + 1) * height * width)].map((v) => v / 255);
        sums[c]! += plane.reduce((a, b) => a + b, 0) / plane.length / count;
        squares[c]! += plane.reduce((a, b) => a + b * b, 0) / plane.length / count;
      }
    }
    const { mean, std } = await dataset.normalisation();
    for (let c = 0; c < 3; c++) {
      expect(mean[c]).toBeCloseTo(sums[c]!, 6);
      expect(std[c]).toBeCloseTo(Math.sqrt(squares[c]! - sums[c]! ** 2), 6);
    }
    expect(await (await openDataset(root)).normalisation()).toEqual({ mean, std });
  });

  it('says what is wrong with a folder', async () => {
    const root = await temporaryFolder();
    await expect(openDataset(root)).rejects.toThrow('at least two class folders are wanted');
    await mkdir(join(root, 'a'));
    await mkdir(join(root, 'b'));
    await writeImage(join(root, 'a', 'x.png'), 8, 8, [1, 2, 3]);
    await expect(openDataset(root)).rejects.toThrow('none in b');
    const parts = await temporaryFolder();
    await writeImageFolder(join(parts, 'train'), ['a', 'b'], 3);
    await writeImageFolder(join(parts, 'test'), ['a', 'z'], 3);
    await expect(openDataset(parts)).rejects.toThrow(
      `Cannot use ${parts}/test/z: a class of the training part is wanted`,
    );
  });

  it('names a corrupt image, whatever is wrong with it', async () => {
    const root = await temporaryFolder();
    await writeImageFolder(root, ['a', 'b'], 4);
    const whole = await readFile(join(root, 'a', '000.jpg'));
    const damaged = {
      'empty.jpg': Buffer.alloc(0),
      'text.png': Buffer.from('this is not an image'),
      'cut.jpg': whole.subarray(0, whole.length >> 1),
      'header.jpg': whole.subarray(0, 30),
    };
    for (const [name, bytes] of Object.entries(damaged)) await writeFile(join(root, 'a', name), bytes);
    const dataset = await openDataset(root);
    for (const file of Object.keys(damaged)) {
      const split = SPLITS.find((s) => names(dataset, s).some((name) => name.endsWith(file)))!;
      const index = names(dataset, split).findIndex((name) => name.endsWith(file));
      await expect(dataset.decode(split, index)).rejects.toThrow(UserError);
      await expect(dataset.decode(split, index)).rejects.toThrow(`Cannot decode ${root}/a/${file}: `);
    }
  });
});

const archive = sharedData('cifar10-imagefolder.tar.gz');
it.skipIf(archive === undefined)('reads a sample of CIFAR-10 as files', async () => {
  const root = await temporaryFolder();
  const wanted = ['--wildcards', 'train/*/000?.jpg', 'test/*/000?.jpg'];
  execFileSync('tar', ['xzf', archive!, '-C', root, ...wanted]);
  const dataset = await openDataset(root);
  const [train, validation, test] = sizes(dataset);
  expect([train! + validation!, test]).toEqual([100, 100]);
  expect(validation).toBeGreaterThanOrEqual(10);
  expect(validation).toBeLessThan(25);
  expect(dataset.classes).toContain('airplane');
  expect(dataset.imageSize).toEqual({ height: 32, width: 32 });
  const { mean, std } = await dataset.normalisation();
  // Published: mean .4914 .4822 .4465, std .2470 .2435 .2616.
  [0.4914, 0.4822, 0.4465].forEach((value, c) => expect(Math.abs(mean[c]! - value)).toBeLessThan(0.05));
  [0.247, 0.2435, 0.2616].forEach((value, c) => expect(Math.abs(std[c]! - value)).toBeLessThan(0.05));
});
