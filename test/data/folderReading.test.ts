import { execFileSync } from 'node:child_process';
import { mkdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { SPLITS, type Dataset } from '../../src/data/dataset.js';
import { openDataset } from '../../src/data/index.js';
import { createLoader } from '../../src/data/loader.js';
import { silentLogger } from '../../src/util/logger.js';
import { bmpBytes } from './bmpFiles.js';
import { temporaryFolder, writeImage } from './files.js';

/** Writes images CLASS/0.png ... of one colour a class. */
async function writeClasses(root: string, classes: readonly string[], count = 4): Promise<void> {
  for (const [label, name] of classes.entries()) {
    for (let i = 0; i < count; i++)
      await writeImage(join(root, name, `${i}.png`), 10, 10, [60 * label, 9, i]);
  }
}

async function writeText(path: string, text = 'words'): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
}

/** Relative names of a data set's images with their classes, sorted: `b b/more/1.png`. */
function contents(dataset: Dataset): string[] {
  const root = dataset.source.path!;
  return SPLITS.flatMap((split) =>
    Array.from({ length: dataset.splitSize(split) }, (_, i) => {
      const name = dataset.exampleName(split, i).slice(root.length + 1);
      return `${dataset.classes[dataset.label(split, i)]!} ${name}`;
    }),
  ).sort();
}

const ignored = (dataset: Dataset): Record<string, string[]> =>
  Object.fromEntries(dataset.ignored.map(({ reason, files }) => [reason, [...files]]));

async function warnings(dataset: Dataset): Promise<string[]> {
  const lines: string[] = [];
  const logger = { ...silentLogger, warn: (line: string) => lines.push(line) };
  const loader = await createLoader({ dataset, batchSize: 1, seed: 0, workers: 0, logger });
  await loader.close();
  return lines;
}

describe('files of a class', () => {
  it('are read in every form, whatever they are called', async () => {
    const root = await temporaryFolder();
    await writeClasses(root, ['a', 'b']);
    const image = sharp({ create: { width: 10, height: 10, channels: 3, background: { r: 0, g: 9, b: 1 } } });
    const forms = {
      'x.tif': image.clone().tiff(),
      'x.TIFF': image.clone().tiff({ bigtiff: true }),
      'x.gif': image.clone().gif(),
      'x.avif': image.clone().avif({ effort: 0 }),
      'x.jfif': image.clone().jpeg(),
      x: image.clone().webp(),
      'x.dat': image.clone().png(),
    };
    for (const [name, form] of Object.entries(forms)) {
      await writeFile(join(root, 'a', name), await form.toBuffer());
    }
    const pixels = Array.from({ length: 100 }, () => 0x000901);
    await writeFile(join(root, 'a', 'x.bmp'), bmpBytes({ width: 10, height: 10, bits: 24, pixels }));
    const dataset = await openDataset(root);
    expect(contents(dataset)).toEqual([
      ...[0, 1, 2, 3].map((i) => `a a/${i}.png`),
      ...[...Object.keys(forms), 'x.bmp'].map((name) => `a a/${name}`).sort(),
      ...[0, 1, 2, 3].map((i) => `b b/${i}.png`),
    ]);
    expect(dataset.ignored).toEqual([]);
    for (const split of SPLITS) {
      for (let i = 0; i < dataset.splitSize(split); i++) {
        if (dataset.label(split, i) !== 0) continue;
        const { data } = await dataset.decode(split, i);
        expect(Math.abs(data[100]! - 9)).toBeLessThan(12);
      }
    }
  });

  it('may lie deeper than the class folder, and that is said', async () => {
    const root = await temporaryFolder();
    await writeClasses(root, ['a', 'b']);
    await writeImage(join(root, 'b', 'more', '7.png'), 10, 10, [60, 9, 9]);
    await writeImage(join(root, 'b', 'more', 'still', '8.png'), 10, 10, [60, 9, 9]);
    const dataset = await openDataset(root);
    expect(contents(dataset)).toEqual(expect.arrayContaining(['b b/more/7.png', 'b b/more/still/8.png']));
    expect(await warnings(dataset)).toEqual([
      `2 images of ${root} lie in folders below their class folder, e.g. b/more/7.png: their class is the folder above`,
    ]);
  });

  it('that cannot be read are counted and named with the reason', async () => {
    const root = await temporaryFolder();
    await writeClasses(root, ['a', 'b']);
    for (const i of [1, 2, 3, 4])
      await writeText(join(root, 'a', `${i}.svg`), '<svg xmlns="http://www.w3.org/2000/svg"/>');
    await writeText(join(root, 'b', 'paper.pdf'), '%PDF-1.4 ...');
    const heic = Buffer.concat([Buffer.from([0, 0, 0, 24]), Buffer.from('ftypheic\0\0\0\0mif1heic')]);
    await writeFile(join(root, 'b', 'phone.heic'), heic);
    await writeText(join(root, 'b', 'labels.csv'));
    await writeText(join(root, 'b', '.hidden.png'));
    await writeText(join(root, 'b', '.DS_Store'));
    await writeText(join(root, 'a', 'Thumbs.db'));
    await symlink('nowhere.png', join(root, 'a', 'broken.png'));
    execFileSync('mkfifo', [join(root, 'a', 'pipe.png')]);
    await writeText(join(root, 'README.md'));
    await writeImage(join(root, 'loose.png'), 10, 10, [1, 2, 3]);
    await symlink('README.md', join(root, 'LINK'));
    await symlink('nowhere', join(root, 'c'));
    const dataset = await openDataset(root);
    expect(dataset.classes).toEqual(['a', 'b']);
    expect(contents(dataset)).toHaveLength(8);
    expect(ignored(dataset)).toEqual({
      'SVG, which is not read': ['a/1.svg', 'a/2.svg', 'a/3.svg'],
      'PDF, which is not read': ['b/paper.pdf'],
      'HEIC, which is not read': ['b/phone.heic'],
      'no image': ['LINK', 'README.md', 'b/labels.csv'],
      'hidden by a dot before the name': ['b/.hidden.png'],
      'a link that leads nowhere': ['c', 'a/broken.png'],
      'neither a file nor a folder': ['a/pipe.png'],
      'images outside class folders: they have no class': ['loose.png'],
    });
    const [line, ...more] = await warnings(dataset);
    expect(more).toEqual([]);
    expect(line).toMatch(
      new RegExp(
        `^Left out 14 entries of ${root}: 4 SVG, which is not read \\(a/1.svg, a/2.svg, a/3.svg, \\.\\.\\.\\); `,
      ),
    );
  });

  it('are read through links, but no image twice and in no circle', async () => {
    const outside = await temporaryFolder();
    await writeClasses(outside, ['far']);
    await symlink(join(outside, 'far'), join(outside, 'far', 'circle'));
    const root = await temporaryFolder();
    await writeClasses(root, ['a', 'b']);
    await writeClasses(join(root, '.store'), ['kept']);
    await symlink(join(outside, 'far'), join(root, 'c'));
    await symlink('.store/kept', join(root, 'd'));
    await symlink('../b', join(root, 'a', 'other'));
    await symlink(root, join(root, 'b', 'up'));
    await symlink(dirname(root), join(root, 'b', 'above'));
    await symlink(join(root, 'b', '0.png'), join(root, 'a', 'linked.png'));
    const dataset = await openDataset(root);
    expect(dataset.classes).toEqual(['a', 'b', 'c', 'd']);
    expect(contents(dataset)).toHaveLength(17);
    expect(ignored(dataset)['a link to a folder of the same data']).toEqual(['a/other', 'b/above', 'b/up']);
    expect(dataset.ignored.find(({ reason }) => reason.startsWith('a link to'))!.count).toBe(4);
  });
});

describe('a class', () => {
  it('of which no image can be decoded is an error', async () => {
    const root = await temporaryFolder();
    await writeClasses(root, ['a', 'b']);
    const cut = (await readFile(join(root, 'b', '0.png'))).subarray(0, 90);
    for (const i of [0, 1, 2, 3]) await writeFile(join(root, 'b', `${i}.png`), cut);
    for (const onCorrupt of ['fail', 'skip'] as const) {
      await expect(openDataset(root, { onCorrupt })).rejects.toThrow(
        /^Cannot use .*: every class needs training images that can be decoded .*: none of the 4 in b can be \(b\/0\.png: /,
      );
    }
    // One that can be decoded is enough, where it may be the only one.
    await writeImage(join(root, 'b', '9.png'), 10, 10, [1, 2, 3]);
    expect((await openDataset(root, { onCorrupt: 'skip' })).classes).toEqual(['a', 'b']);
  });

  it('without images is an error that says what is there instead', async () => {
    const root = await temporaryFolder();
    await writeClasses(root, ['a', 'b']);
    await writeText(join(root, 'c', 'x.svg'), '<svg/>');
    await expect(openDataset(root)).rejects.toThrow(
      `every class folder must hold images (JPEG, PNG, WebP, TIFF, GIF, AVIF or BMP): none in c; left out: 1 SVG, which is not read (c/x.svg)`,
    );
  });
});

describe('parts', () => {
  it('train alone is the whole data set', async () => {
    const root = await temporaryFolder();
    await writeClasses(join(root, 'Train'), ['a', 'b'], 10);
    const dataset = await openDataset(root);
    expect(dataset.classes).toEqual(['a', 'b']);
    expect(contents(dataset)).toHaveLength(20);
    expect(Math.min(...SPLITS.map((split) => dataset.splitSize(split)))).toBeGreaterThan(0);
  });

  it('may be classes, where there are others', async () => {
    const root = await temporaryFolder();
    await writeClasses(root, ['bus', 'tram', 'train']);
    expect((await openDataset(root)).classes).toEqual(['bus', 'train', 'tram']);
  });

  it.each([
    { what: 'flat', path: 'test' },
    { what: 'in one folder of another name', path: 'test/unknown' },
  ])('test without classes, $what, is left out with a word', async ({ path }) => {
    const root = await temporaryFolder();
    await writeClasses(join(root, 'train'), ['a', 'b'], 10);
    for (let i = 0; i < 5; i++) await writeImage(join(root, path, `${i}.png`), 10, 10, [1, 2, 3]);
    const dataset = await openDataset(root);
    expect(contents(dataset).every((name) => name.includes(' train/'))).toBe(true);
    expect(contents(dataset)).toHaveLength(20);
    const [left, remark] = await warnings(dataset);
    expect(left).toContain('test/');
    expect(remark).toMatch(/test has no class folders, .* it is left out, and the other parts are divided/);
    // With a validation part of its own that one is tested on.
    await writeClasses(join(root, 'val'), ['a', 'b'], 6);
    expect((await openDataset(root)).splitSize('test')).toBe(12);
  });

  it('are named where folders stand beside them or train is missing', async () => {
    const root = await temporaryFolder();
    await writeClasses(join(root, 'train'), ['a', 'b'], 5);
    await writeClasses(join(root, 'test'), ['a', 'b'], 5);
    await writeClasses(join(root, 'extra'), ['a', 'b'], 5);
    const dataset = await openDataset(root);
    expect(contents(dataset)).toHaveLength(20);
    expect(ignored(dataset)).toEqual({ 'a folder beside train/': ['extra'] });
    await rename(join(root, 'train'), join(root, '.train'));
    await rename(join(root, 'extra'), join(root, 'val'));
    await expect(openDataset(root)).rejects.toThrow('there is test, val without train/ beside it');
  });

  it('one folder around the data set is found', async () => {
    const root = await temporaryFolder();
    await writeClasses(join(root, 'photos'), ['a', 'b'], 3);
    await expect(openDataset(root)).rejects.toThrow(
      `there is only photos; it holds a, b: perhaps ${root}/photos is meant`,
    );
  });

  it('images without any folders are explained', async () => {
    const root = await temporaryFolder();
    for (const i of [0, 1]) await writeImage(join(root, `cat.${i}.png`), 10, 10, [1, 2, 3]);
    await expect(openDataset(root)).rejects.toThrow(
      /there are no folders; left out: 2 images outside class folders: they have no class \(cat\.0\.png, cat\.1\.png\)$/,
    );
  });
});
