import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import sharp, { type Sharp } from 'sharp';
import { expect, it, describe } from 'vitest';
import type { Image } from '../../src/data/augment/image.js';
import { DecodeError, decodeImage, imageSize, MAX_PIXELS } from '../../src/data/decodeImage.js';
import { openImages } from '../../src/data/imageStore.js';
import { createPixelCacheMemory } from '../../src/data/pixelCache.js';
import { bmpBytes } from './bmpFiles.js';
import { temporaryFolder } from './files.js';

const SHORT_SIDE = 48;

/** Mean of every channel over the rows `from` to `to` (shares of the height). */
function means({ channels, height, width, data }: Image<Uint8Array>, from: number, to: number): number[] {
  const first = Math.round(from * height) * width;
  const last = Math.round(to * height) * width;
  return Array.from({ length: channels }, (_, c) => {
    const plane = data.subarray(c * height * width, (c + 1) * height * width).subarray(first, last);
    return plane.reduce((a, b) => a + b, 0) / plane.length;
  });
}

/** The upper half is not there (over some colour), the lower half is half there. */
function halfTransparent(side: number, hidden: number[], visible: number[]): Sharp {
  const channels = (hidden.length + 1) as 2 | 4;
  const data = new Uint8Array(side * side * channels);
  for (let i = 0; i < side * side; i++) {
    data.set(i < (side * side) / 2 ? [...hidden, 0] : [...visible, 128], i * channels);
  }
  const image = sharp(data, { raw: { width: side, height: side, channels } });
  return channels === 2 ? image.toColourspace('b-w') : image;
}

const FORMS: readonly { name: string; grey?: boolean; write: (image: Sharp) => Sharp }[] = [
  { name: 'rgba.png', write: (image) => image.png() },
  { name: 'rgba16.png', write: (image) => image.toColourspace('rgb16').png() },
  { name: 'palette.png', write: (image) => image.png({ palette: true, colours: 8 }) },
  { name: 'lossless.webp', write: (image) => image.webp({ lossless: true }) },
  { name: 'exact.webp', write: (image) => image.webp({ lossless: true, exact: true }) },
  { name: 'rgba.tif', write: (image) => image.tiff({ compression: 'lzw' }) },
  { name: 'rgba.avif', write: (image) => image.avif({ lossless: true, effort: 0 }) },
  { name: 'la.png', grey: true, write: (image) => image.png() },
  { name: 'la16.png', grey: true, write: (image) => image.toColourspace('grey16').png() },
  { name: 'la.tif', grey: true, write: (image) => image.tiff({ compression: 'none' }) },
];

describe('transparency', () => {
  // Smaller and larger than what is kept as it is.
  const sides = [16, 4 * SHORT_SIDE];
  const cases = FORMS.flatMap((form) => sides.map((side) => ({ ...form, side })));
  it.each(cases)(
    'is white paper in $name of $side pixels, whatever lies under it',
    async ({ name, grey, write, side }) => {
      const folder = await temporaryFolder();
      for (const hidden of [0, 90, 255]) {
        const path = join(folder, name);
        const visible = grey === true ? [100] : [10, 20, 30];
        await write(
          halfTransparent(
            side,
            visible.map(() => hidden),
            visible,
          ),
        ).toFile(path);
        const image = await decodeImage(path, SHORT_SIDE, 3);
        const wanted = [0, 1, 2].map((c) => (128 * visible[c % visible.length]! + 127 * 255) / 255);
        // Away from the border between the halves, which a resized image blurs.
        means(image, 0, 0.4).forEach((value) => expect(value).toBe(255));
        means(image, 0.6, 1).forEach((value, c) => expect(Math.abs(value - wanted[c]!)).toBeLessThan(1.5));
      }
    },
  );

  it('of a GIF shows white, also from the cache', async () => {
    const root = await temporaryFolder();
    const data = new Uint8Array(4 * 64).map((_, i) => [200, 10, 10, i < 128 ? 0 : 255][i % 4]!);
    await sharp(data, { raw: { width: 8, height: 8, channels: 4 } })
      .gif()
      .toFile(join(root, 'a.gif'));
    const store = { kind: 'files', root, count: 1, channels: 3, maxShortSide: SHORT_SIDE } as const;
    const reader = openImages(store, createPixelCacheMemory(1, 1 << 16));
    const first = await reader.read({ position: 0, file: 'a.gif' });
    const cached = await reader.read({ position: 0, file: 'a.gif' });
    for (const image of [first, cached]) {
      expect(means(image, 0, 0.5)).toEqual([255, 255, 255]);
      expect(Math.abs(means(image, 0.5, 1)[1]! - 10)).toBeLessThan(6);
    }
  });
});

it('makes grey of colour by luma and colour of grey, in every form', async () => {
  const folder = await temporaryFolder();
  const colour = { r: 200, g: 100, b: 50 };
  const luma = Math.floor((299 * 200 + 587 * 100 + 114 * 50 + 500) / 1000);
  for (const name of ['c.png', 'c.tif', 'c.webp']) {
    const image = sharp({ create: { width: 9, height: 5, channels: 3, background: colour } });
    await (name === 'c.webp' ? image.webp({ lossless: true }) : image).toFile(join(folder, name));
    const grey = await decodeImage(join(folder, name), SHORT_SIDE, 1);
    expect([grey.channels, grey.height, grey.width]).toEqual([1, 5, 9]);
    expect(new Set(grey.data)).toEqual(new Set([luma]));
  }
  const ramp = Uint8Array.from({ length: 256 }, (_, i) => i);
  await sharp(ramp, { raw: { width: 16, height: 16, channels: 1 } })
    .png()
    .toFile(join(folder, 'grey.png'));
  expect((await decodeImage(join(folder, 'grey.png'), SHORT_SIDE, 1)).data).toEqual(ramp);
  const spread = await decodeImage(join(folder, 'grey.png'), SHORT_SIDE, 3);
  expect(spread.data).toEqual(Uint8Array.from([...ramp, ...ramp, ...ramp]));
});

it('looks at content, not at names', async () => {
  const folder = await temporaryFolder();
  const red = { create: { width: 6, height: 6, channels: 3, background: 'red' } } as const;
  await writeFile(join(folder, 'a.jpg'), await sharp(red).webp({ lossless: true }).toBuffer());
  expect((await decodeImage(join(folder, 'a.jpg'), SHORT_SIDE, 3)).data[0]).toBe(255);
  const refused = {
    'svg.png':
      '<?xml version="1.0"?>\n<!-- made -->\n<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
    'pdf.png': '%PDF-1.7\n',
    'empty.png': '',
    'text.png': 'BMW and other words that begin with a signature',
  };
  for (const [name, text] of Object.entries(refused)) {
    await writeFile(join(folder, name), text);
    await expect(decodeImage(join(folder, name), SHORT_SIDE, 3)).rejects.toThrow(DecodeError);
    expect(await imageSize(join(folder, name))).toBeUndefined();
  }
  await expect(decodeImage(join(folder, 'svg.png'), SHORT_SIDE, 3)).rejects.toThrow(
    'it is SVG; wanted is JPEG, PNG, WebP, TIFF, GIF, AVIF or BMP',
  );
});

it('refuses images of too many pixels before they are decoded, and says how many', async () => {
  const folder = await temporaryFolder();
  const side = 8200;
  const path = join(folder, 'bomb.png');
  const background = { width: side, height: side, channels: 3, background: 'black' } as const;
  await sharp({ create: background }).toColourspace('b-w').png({ compressionLevel: 1 }).toFile(path);
  await expect(decodeImage(path, SHORT_SIDE, 3)).rejects.toThrow(
    `it has ${side} x ${side} pixels, more than the ${MAX_PIXELS} (8192 x 8192) that are decoded`,
  );
  // A header that announces them is enough: there is nothing to decode.
  const header = bmpBytes({ width: 2, height: 2, bits: 24, pixels: [0, 1, 2, 3] });
  header.writeInt32LE(100_000, 18);
  header.writeInt32LE(-100_000, 22);
  await writeFile(join(folder, 'bomb.bmp'), header);
  await expect(decodeImage(join(folder, 'bomb.bmp'), SHORT_SIDE, 3)).rejects.toThrow(
    '100000 x 100000 pixels',
  );
});

it('survives any damage to a file with a DecodeError', async () => {
  const folder = await temporaryFolder();
  const image = halfTransparent(12, [9, 9, 9], [200, 10, 90]);
  const whole = [
    await image.clone().png().toBuffer(),
    await image.clone().gif().toBuffer(),
    await image.clone().tiff({ compression: 'deflate' }).toBuffer(),
    bmpBytes({ width: 7, height: 5, bits: 8, pixels: Array.from({ length: 35 }, (_, i) => i * 7) }),
    bmpBytes({ width: 7, height: 5, bits: 16, pixels: Array.from({ length: 35 }, (_, i) => i * 999) }),
  ];
  const path = join(folder, 'damaged');
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...whole),
      fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 4 }),
      fc.option(fc.nat(400)),
      async (bytes, changes, length) => {
        const damaged = Buffer.from(bytes);
        for (const [at, value] of changes) if (at < damaged.length) damaged[at] = value;
        await writeFile(path, damaged.subarray(0, length ?? damaged.length));
        try {
          const { channels, height, width, data } = await decodeImage(path, SHORT_SIDE, 3);
          expect(data.length).toBe(channels * height * width);
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
          expect((error as Error).message).not.toMatch(/\n|^$/);
        }
      },
    ),
    { numRuns: 300 },
  );
});
