import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { adjustBrightness, adjustSaturation, colour } from '../../../src/data/augment/colour.js';
import { blanked, cutout } from '../../../src/data/augment/cutout.js';
import { flip, flipped } from '../../../src/data/augment/flip.js';
import type { Image } from '../../../src/data/augment/image.js';
import { cropPadded, padCrop } from '../../../src/data/augment/padCrop.js';
import {
  augment,
  augmentationPolicySchema,
  policies,
  policyNamed,
  prepareForEvaluation,
  type AugmentationContext,
} from '../../../src/data/augment/policy.js';
import { drawBox, resizedCrop } from '../../../src/data/augment/resizedCrop.js';
import { resize } from '../../../src/data/augment/resize.js';
import { createRandom } from '../../../src/util/random.js';
import { randomBytes } from '../files.js';

const image = (channels: number, height: number, width: number, seed = 0): Image<Uint8Array> => ({
  channels,
  height,
  width,
  data: randomBytes(channels * height * width, seed),
});

/** Pixel, or 0 outside. */
const at = ({ data, height, width }: Image, c: number, y: number, x: number): number =>
  y < 0 || x < 0 || y >= height || x >= width ? 0 : data[(c * height + y) * width + x]!;

describe('padCrop', () => {
  it('is a window of the zero-padded image, for every place', () => {
    const original = image(2, 5, 7);
    for (const padding of [0, 1, 3, 9]) {
      for (let dy = 0; dy <= 2 * padding; dy++) {
        for (let dx = 0; dx <= 2 * padding; dx++) {
          const cropped = cropPadded(original, padding, dy, dx);
          for (let c = 0; c < 2; c++) {
            for (let y = 0; y < 5; y++) {
              for (let x = 0; x < 7; x++) {
                const want = at(original, c, y + dy - padding, x + dx - padding);
                if (at(cropped, c, y, x) !== want) expect({ padding, dy, dx, c, y, x }).toBe(want);
              }
            }
          }
        }
      }
    }
  });

  it('draws every place about equally often', () => {
    const single = { channels: 1, height: 3, width: 3, data: Uint8Array.from([0, 0, 0, 0, 255, 0, 0, 0, 0]) };
    const seen = new Array<number>(9).fill(0);
    for (let i = 0; i < 9000; i++) {
      const { data } = padCrop(single, { padding: 1 }, createRandom(i));
      seen[data.indexOf(255)]! += 1;
    }
    for (const count of seen) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });
});

describe('flip', () => {
  it('mirrors, and twice is the identity', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }), (height, width) => {
        const original = image(3, height, width);
        const once = flipped(original);
        expect([...flipped(once).data]).toEqual([...original.data]);
        for (let x = 0; x < width; x++) {
          expect(at(once, 2, height - 1, x)).toBe(at(original, 2, height - 1, width - 1 - x));
        }
      }),
    );
  });

  it('happens with its probability', () => {
    const original = image(1, 2, 2);
    const share = (probability: number): number =>
      Array.from(
        { length: 4000 },
        (_, i) => flip(original, { probability }, createRandom(i)) !== original,
      ).filter(Boolean).length / 4000;
    expect(share(0)).toBe(0);
    expect(share(1)).toBe(1);
    expect(Math.abs(share(0.3) - 0.3)).toBeLessThan(0.03);
  });
});

describe('resizedCrop', () => {
  const options = policyNamed('photo').train.find((step) => step.step === 'resizedCrop')!;

  it('draws boxes inside the image, of allowed area and shape up to rounding', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 1, max: 300 }),
        fc.nat(),
        (height, width, seed) => {
          const box = drawBox({ height, width }, options, createRandom(seed));
          expect(box.top).toBeGreaterThanOrEqual(0);
          expect(box.left).toBeGreaterThanOrEqual(0);
          expect(box.height).toBeGreaterThanOrEqual(1);
          expect(box.width).toBeGreaterThanOrEqual(1);
          expect(box.top + box.height).toBeLessThanOrEqual(height);
          expect(box.left + box.width).toBeLessThanOrEqual(width);
          if (Math.min(height, width) >= 60 && Math.max(height, width) <= 80) {
            const ratio = box.width / box.height;
            expect(ratio).toBeGreaterThan(0.75 * 0.93);
            expect(ratio).toBeLessThan((4 / 3) * 1.07);
            expect((box.width * box.height) / (height * width)).toBeGreaterThan(0.08 * 0.93);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it('covers the whole range of areas evenly', () => {
    const areas = Array.from({ length: 3000 }, (_, i) => {
      const box = drawBox(
        { height: 100, width: 100 },
        { scale: [0.08, 0.7], ratio: [1, 1] },
        createRandom('a', i),
      );
      return (box.height * box.width) / 10000;
    }).sort((a, b) => a - b);
    expect(areas[0]).toBeLessThan(0.09);
    expect(areas[2999]).toBeGreaterThan(0.69);
    expect(Math.abs(areas[1500]! - 0.39)).toBeLessThan(0.03);
  });

  it('falls back to the largest central box when none fits', () => {
    const box = drawBox(
      { height: 10, width: 1000 },
      { scale: [1, 1], ratio: [3 / 4, 4 / 3] },
      createRandom(1),
    );
    expect(box).toEqual({ top: 0, left: 493, height: 10, width: 13 });
  });

  it('resizes its box', () => {
    const original = image(3, 40, 50);
    const got = resizedCrop(original, options, createRandom(4), 24);
    const want = resize(original, { height: 24, width: 24 }, drawBox(original, options, createRandom(4)));
    expect([...got.data]).toEqual([...want.data]);
  });
});

describe('colour', () => {
  it('multiplies brightness and clamps', () => {
    const original = image(3, 4, 4);
    adjustBrightness(original, 1.3).data.forEach((value, i) => {
      expect(value).toBeCloseTo(Math.min(255, original.data[i]! * 1.3), 3);
    });
  });

  it('blends with luma: 0 is grey, 1 the identity, and luma stays', () => {
    const original = { ...image(3, 3, 3), data: randomBytes(27).map((v) => 90 + (v % 60)) };
    const luma = (img: Image, i: number): number =>
      0.299 * img.data[i]! + 0.587 * img.data[9 + i]! + 0.114 * img.data[18 + i]!;
    const grey = adjustSaturation(original, 0);
    const same = adjustSaturation(original, 1);
    const strong = adjustSaturation(original, 1.5);
    for (let i = 0; i < 9; i++) {
      for (const c of [0, 9, 18]) {
        expect(grey.data[c + i]).toBeCloseTo(luma(original, i), 3);
        expect(same.data[c + i]).toBeCloseTo(original.data[c + i]!, 3);
      }
      expect(luma(strong, i)).toBeCloseTo(luma(original, i), 2);
    }
  });

  it('leaves saturation of grey images alone and stays within its factors', () => {
    const one = { channels: 1, height: 1, width: 1, data: Uint8Array.of(100) };
    const values = Array.from(
      { length: 500 },
      (_, i) => colour(one, { brightness: 0.2, saturation: 0.5 }, createRandom(i)).data[0]!,
    );
    expect(Math.min(...values)).toBeGreaterThanOrEqual(80 - 1e-3);
    expect(Math.max(...values)).toBeLessThanOrEqual(120 + 1e-3);
    expect(Math.max(...values) - Math.min(...values)).toBeGreaterThan(35);
  });
});

describe('cutout', () => {
  it('blanks a square cut at the border and nothing else', () => {
    const original = image(2, 8, 10);
    for (const centre of [
      { y: 0, x: 0 },
      { y: 4, x: 5 },
      { y: 7, x: 9 },
    ]) {
      const holed = blanked(original, 4, centre, [300, 400]);
      for (let c = 0; c < 2; c++) {
        for (let y = 0; y < 8; y++) {
          for (let x = 0; x < 10; x++) {
            const inside = y >= centre.y - 2 && y < centre.y + 2 && x >= centre.x - 2 && x < centre.x + 2;
            expect(at(holed, c, y, x)).toBe(inside ? [300, 400][c] : at(original, c, y, x));
          }
        }
      }
    }
    const all = cutout(image(1, 6, 6), { size: 0.5 }, createRandom(0), [300]);
    const blank = all.data.filter((value) => value === 300).length;
    expect(blank).toBeGreaterThanOrEqual(1);
    expect(blank).toBeLessThanOrEqual(9);
  });
});

describe('policy', () => {
  const context = (seed: number, imageSize: number): AugmentationContext => ({
    random: createRandom('test', seed),
    imageSize,
    fill: [1, 2, 3],
  });

  it.each(Object.keys(policies) as (keyof typeof policies)[])(
    '%s gives the wanted size, the same for a seed',
    (name) => {
      const policy = policyNamed(name);
      expect(augmentationPolicySchema.parse(JSON.parse(JSON.stringify(policy)))).toEqual(policy);
      const original = image(3, 30, 41);
      const before = [...original.data];
      const a = augment(original, policy, context(1, 20));
      expect([a.channels, a.height, a.width, a.data.length]).toEqual([3, 20, 20, 1200]);
      expect([...augment(original, policy, context(1, 20)).data]).toEqual([...a.data]);
      if (policy.train.length > 0)
        expect([...augment(original, policy, context(2, 20)).data]).not.toEqual([...a.data]);
      expect(prepareForEvaluation(original, policy, 20).data.length).toBe(1200);
      expect([...original.data]).toEqual(before);
    },
  );

  it('refuses unknown steps, options and ranges', () => {
    for (const step of [
      { step: 'rotate' },
      { step: 'flip', chance: 1 },
      { step: 'flip', probability: 2 },
      { step: 'resizedCrop', scale: [0.9, 0.1] },
    ]) {
      expect(augmentationPolicySchema.safeParse({ train: [step], evaluation: 'resize' }).success).toBe(false);
    }
  });
});
