import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { centreCrop, plainResize } from '../../../src/data/augment/evaluation.js';
import { fromInterleaved, normaliseInto, type Box, type Image } from '../../../src/data/augment/image.js';
import { resize } from '../../../src/data/augment/resize.js';
import { randomBytes } from '../files.js';

const randomImage = (channels: number, height: number, width: number, seed = 0): Image<Uint8Array> => ({
  channels,
  height,
  width,
  data: randomBytes(channels * height * width, seed),
});

/** The definition: every output pixel is a weighted mean of all pixels of the box, triangle weights in both axes. */
function resizeByDefinition(image: Image, height: number, width: number, box: Box): number[] {
  const triangle = (from: number, to: number, o: number, i: number): number => {
    const scale = from / to;
    const support = Math.max(1, scale);
    return Math.max(0, 1 - Math.abs(i + 0.5 - (o + 0.5) * scale) / support);
  };
  const out: number[] = [];
  for (let c = 0; c < image.channels; c++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        let sum = 0;
        let weights = 0;
        for (let j = 0; j < box.height; j++) {
          for (let i = 0; i < box.width; i++) {
            const weight = triangle(box.height, height, y, j) * triangle(box.width, width, x, i);
            weights += weight;
            sum += weight * image.data[(c * image.height + box.top + j) * image.width + box.left + i]!;
          }
        }
        out.push(sum / weights);
      }
    }
  }
  return out;
}

const sides = fc.integer({ min: 1, max: 13 });

describe('resize', () => {
  it('is what the definition says, for any box and size', () => {
    fc.assert(
      fc.property(
        sides,
        sides,
        sides,
        sides,
        fc.nat(),
        fc.nat(),
        fc.nat(),
        (h, w, oh, ow, top, left, seed) => {
          const image = randomImage(2, h, w, seed);
          const box = { top: top % h, left: left % w, height: h - (top % h), width: w - (left % w) };
          const got = resize(image, { height: oh, width: ow }, box);
          const want = resizeByDefinition(image, oh, ow, box);
          expect(got.data.length).toBe(want.length);
          got.data.forEach((value, i) => expect(Math.abs(value - want[i]!)).toBeLessThan(1e-3));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('computes windows equal to the same part of the whole', () => {
    const image = randomImage(3, 20, 17);
    const size = { height: 11, width: 29 };
    const whole = resize(image, size);
    const part = resize(image, size, undefined, { top: 3, left: 5, height: 6, width: 20 });
    for (let c = 0; c < 3; c++) {
      for (let y = 0; y < 6; y++) {
        for (let x = 0; x < 20; x++) {
          expect(part.data[(c * 6 + y) * 20 + x]).toBe(whole.data[(c * 11 + y + 3) * 29 + x + 5]);
        }
      }
    }
  });

  it('is the identity for the same size', () => {
    const image = randomImage(1, 9, 7);
    expect([...resize(image, image).data]).toEqual([...image.data]);
  });

  it('keeps a constant image constant and a linear ramp linear inside', () => {
    fc.assert(
      fc.property(fc.integer({ min: 4, max: 40 }), fc.integer({ min: 4, max: 40 }), (from, to) => {
        const constant = {
          channels: 1,
          height: from,
          width: from,
          data: new Float32Array(from * from).fill(77),
        };
        for (const value of resize(constant, { height: to, width: to }).data)
          expect(value).toBeCloseTo(77, 3);
        const ramp = Float32Array.from({ length: from }, (_, x) => 3 * (x + 0.5) + 2);
        const scale = from / to;
        const resized = resize({ channels: 1, height: 1, width: from, data: ramp }, { height: 1, width: to });
        const support = Math.max(1, scale);
        for (let x = 0; x < to; x++) {
          const centre = (x + 0.5) * scale;
          // Where the filter is cut at the border it is lopsided; shrinking by a fraction, taps sample it unevenly.
          if (centre < support || centre > from - support) continue;
          const tolerance = scale <= 1 || Number.isInteger(scale) ? 1e-3 : 3 * 0.35;
          expect(Math.abs(resized.data[x]! - (3 * centre + 2))).toBeLessThan(tolerance);
        }
      }),
    );
  });

  it('keeps the mean when shrinking (no pixel is passed over)', () => {
    const image = randomImage(1, 64, 64);
    const mean = (data: ArrayLike<number>): number =>
      Array.from(data).reduce((a, b) => a + b, 0) / data.length;
    for (const side of [32, 24, 16, 9]) {
      expect(
        Math.abs(mean(resize(image, { height: side, width: side }).data) - mean(image.data)),
      ).toBeLessThan(2);
    }
    const checkerboard = Uint8Array.from({ length: 64 * 64 }, (_, i) => ((i + (i >> 6)) % 2) * 255);
    const shrunk = resize(
      { channels: 1, height: 64, width: 64, data: checkerboard },
      { height: 16, width: 16 },
    );
    for (const value of shrunk.data) expect(Math.abs(value - 127.5)).toBeLessThan(3);
  });
});

describe('evaluation', () => {
  it('centreCrop cuts the middle of the resized image', () => {
    fc.assert(
      fc.property(fc.integer({ min: 5, max: 60 }), fc.integer({ min: 5, max: 60 }), (height, width) => {
        const image = randomImage(1, height, width);
        const short = Math.ceil(14 / 0.875);
        const size =
          height <= width
            ? { height: short, width: Math.floor((short * width) / height) }
            : { height: Math.floor((short * height) / width), width: short };
        const whole = resize(image, size);
        const crop = centreCrop(image, 14);
        expect(crop.data.length).toBe(14 * 14);
        const top = Math.floor((size.height - 14) / 2);
        const left = Math.floor((size.width - 14) / 2);
        for (const [y, x] of [
          [0, 0],
          [13, 13],
          [4, 9],
        ] as const) {
          expect(crop.data[y * 14 + x]).toBe(whole.data[(top + y) * size.width + left + x]);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('plainResize leaves an image of the wanted size alone', () => {
    const image = randomImage(3, 8, 8);
    expect(plainResize(image, 8)).toBe(image);
    expect(plainResize(image, 6).data.length).toBe(3 * 36);
  });
});

it('fromInterleaved and normaliseInto follow their definitions', () => {
  const bytes = randomBytes(3 * 4 * 5);
  const image = fromInterleaved(bytes, 3, { height: 4, width: 5 });
  const mean = [0.1, 0.5, 0.9];
  const std = [0.2, 0.3, 0.4];
  const out = new Float32Array(100);
  normaliseInto(image, { mean, std }, out, 7);
  for (let c = 0; c < 3; c++) {
    for (let i = 0; i < 20; i++) {
      expect(image.data[c * 20 + i]).toBe(bytes[i * 3 + c]);
      expect(out[7 + c * 20 + i]).toBeCloseTo((bytes[i * 3 + c]! / 255 - mean[c]!) / std[c]!, 5);
    }
  }
  expect([...out.subarray(0, 7), ...out.subarray(67)].every((v) => v === 0)).toBe(true);
});
