import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Image } from '../../src/data/augment/image.js';
import { createPixelCacheMemory, PixelCache } from '../../src/data/pixelCache.js';
import { randomBytes } from './files.js';

const image = (height: number, width: number, seed: number): Image<Uint8Array> => ({
  channels: 3,
  height,
  width,
  data: randomBytes(3 * height * width, seed),
});

it('gives back what was kept, whichever reader kept it, and never more than its room', () => {
  const operation = fc.record({
    position: fc.integer({ min: 0, max: 9 }),
    height: fc.integer({ min: 1, max: 8 }),
    width: fc.integer({ min: 1, max: 8 }),
    reader: fc.integer({ min: 0, max: 1 }),
  });
  fc.assert(
    fc.property(
      fc.array(operation, { maxLength: 40 }),
      fc.integer({ min: 0, max: 2000 }),
      (operations, bytes) => {
        const memory = createPixelCacheMemory(10, bytes);
        const readers = [new PixelCache(memory, 3), new PixelCache(memory, 3)];
        const kept = new Map<number, Image<Uint8Array>>();
        for (const { position, height, width, reader } of operations) {
          const offered = image(height, width, position);
          readers[reader]!.set(position, offered);
          if (!kept.has(position) && readers[reader]!.get(position) !== undefined)
            kept.set(position, offered);
          for (const [known, value] of kept) {
            for (const each of readers) expect(each.get(known)).toEqual(value);
          }
        }
        const total = [...kept.values()].reduce((sum, { data }) => sum + data.length, 0);
        expect(total).toBeLessThanOrEqual(bytes);
      },
    ),
  );
});

it('keeps everything that fits', () => {
  const cache = new PixelCache(createPixelCacheMemory(5, 5 * 192), 3);
  for (let i = 0; i < 5; i++) cache.set(i, image(8, 8, i));
  for (let i = 0; i < 5; i++) expect(cache.get(i)).toEqual(image(8, 8, i));
});
