import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bmpSize, decodeBmp } from '../../src/data/bmp.js';
import { imageFormOf } from '../../src/data/imageForms.js';
import { bmpBytes } from './bmpFiles.js';

const sizes = { width: fc.integer({ min: 1, max: 19 }), height: fc.integer({ min: 1, max: 9 }) };
const byte = fc.nat(255);
const colour = fc.tuple(byte, byte, byte);

const pixelsOf = (most: number) => (size: { width: number; height: number }) =>
  fc.array(fc.nat(most), { minLength: size.width * size.height, maxLength: size.width * size.height });

describe('decodeBmp', () => {
  it.each([1, 4, 8] as const)(
    'reads palettes of %i bits, bottom-up and top-down, with old and new headers',
    (bits) => {
      const kinds = fc.record({
        ...sizes,
        topDown: fc.boolean(),
        header: fc.constantFrom<12 | 40>(12, 40),
        gap: fc.nat(5),
        palette: fc.array(colour, { minLength: 2 ** bits, maxLength: 2 ** bits }),
      });
      fc.assert(
        fc.property(
          kinds.chain((kind) => pixelsOf(2 ** bits - 1)(kind).map((pixels) => ({ ...kind, pixels }))),
          (kind) => {
            const topDown = kind.topDown && kind.header === 40;
            const bytes = bmpBytes({ ...kind, bits, topDown });
            expect(imageFormOf(bytes)).toEqual({ name: 'BMP', readable: true });
            expect(bmpSize(bytes)).toEqual({ width: kind.width, height: kind.height });
            const { channels, data } = decodeBmp(bytes);
            expect(channels).toBe(3);
            expect([...data]).toEqual(kind.pixels.flatMap((index) => kind.palette[index]!));
          },
        ),
        { numRuns: 60 },
      );
    },
  );

  it.each([24, 32] as const)('reads true colour of %i bits', (bits) => {
    fc.assert(
      fc.property(
        fc
          .record({ ...sizes, topDown: fc.boolean() })
          .chain((kind) => pixelsOf(2 ** bits - 1)(kind).map((pixels) => ({ ...kind, pixels }))),
        (kind) => {
          // Without masks the fourth byte means nothing.
          const wanted = kind.pixels.flatMap((v) => [(v >>> 16) & 255, (v >>> 8) & 255, v & 255]);
          expect([...decodeBmp(bmpBytes({ ...kind, bits })).data]).toEqual(wanted);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('reads masks: 5-5-5, 5-6-5, and 32 bits with alpha', () => {
    const size = { width: 3, height: 1 };
    const fiveFiveFive = bmpBytes({ ...size, bits: 16, pixels: [0x7c00, 0x03e0, 0x001f] });
    expect([...decodeBmp(fiveFiveFive).data]).toEqual([255, 0, 0, 0, 255, 0, 0, 0, 255]);
    const masks = [0xf800, 0x7e0, 0x1f];
    const fiveSixFive = bmpBytes({ ...size, bits: 16, masks, pixels: [0xffff, 0x0400, 0x8000] });
    expect([...decodeBmp(fiveSixFive).data]).toEqual([255, 255, 255, 0, 130, 0, 132, 0, 0]);
    const withAlpha = bmpBytes({
      ...size,
      bits: 32,
      masks: [0xff, 0xff00, 0xff0000, 0xff000000],
      pixels: [0x80030201, 0xff0000ff, 0x00ffffff],
    });
    const { channels, data } = decodeBmp(withAlpha);
    expect([channels, ...data]).toEqual([4, 1, 2, 3, 128, 255, 0, 0, 255, 255, 255, 255, 0]);
  });

  it('refuses what is cut, packed or empty', () => {
    const whole = bmpBytes({ width: 5, height: 4, bits: 8, pixels: Array.from({ length: 20 }, (_, i) => i) });
    for (let length = 26; length < whole.length - 3; length += 7) {
      expect(() => decodeBmp(whole.subarray(0, length))).toThrow(RangeError);
    }
    const packed = Buffer.from(whole);
    packed.writeUInt32LE(1, 30);
    expect(() => decodeBmp(packed)).toThrow(
      'only BMP without compression is read: it has run lengths at 8 bits',
    );
    const empty = Buffer.from(whole);
    empty.writeInt32LE(0, 22);
    expect(() => decodeBmp(empty)).toThrow('a bitmap of 5x0 pixels has no image');
  });
});
