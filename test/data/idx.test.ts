import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseIdx, readIdx } from '../../src/data/sources/idx.js';
import { UserError } from '../../src/util/errors.js';
import { idxBytes, randomBytes, temporaryFolder } from './files.js';

describe('parseIdx', () => {
  it('gives back what was written, for any shape', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 4 }), (shape) => {
        const data = randomBytes(
          shape.reduce((a, b) => a * b, 1),
          ...shape,
        );
        const array = parseIdx(idxBytes(shape, data), 'file', shape.length);
        expect(array.shape).toEqual(shape);
        expect([...array.data]).toEqual([...data]);
      }),
    );
  });

  it('refuses every proper prefix, naming the file', () => {
    const whole = idxBytes([3, 2, 2], randomBytes(12));
    for (let length = 0; length < whole.length; length++) {
      expect(() => parseIdx(whole.subarray(0, length), 'digits.idx', 3)).toThrow(
        /^Cannot read digits\.idx: /,
      );
      expect(() => parseIdx(whole.subarray(0, length), 'digits.idx', 3)).toThrow(UserError);
    }
  });

  it('says how much is missing', () => {
    const whole = idxBytes([3, 2, 2], randomBytes(12));
    expect(() => parseIdx(whole.subarray(0, 20), 'f', 3)).toThrow(
      'Cannot read f: its header announces 12 values: it has 4; the file is truncated',
    );
    expect(() => parseIdx(Buffer.concat([whole, Buffer.alloc(1)]), 'f', 3)).toThrow(
      'it has 13; the file is too long',
    );
  });

  it('throws nothing but UserError for random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.boolean(), (bytes, plausible) => {
        if (plausible) bytes.set([0, 0, 8, 3].slice(0, bytes.length));
        try {
          const { shape, data } = parseIdx(bytes, 'f', 3);
          expect(data.length).toBe(shape.reduce((a, b) => a * b, 1));
        } catch (error) {
          expect(error).toBeInstanceOf(UserError);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('readIdx', () => {
  it('reads gzipped files and refuses truncated ones', async () => {
    const folder = await temporaryFolder();
    const data = randomBytes(500);
    const zipped = gzipSync(idxBytes([500], data));
    const path = join(folder, 'labels.gz');
    await writeFile(path, zipped);
    expect([...(await readIdx(path, 1)).data]).toEqual([...data]);
    for (const length of [0, 5, 18, zipped.length >> 1, zipped.length - 1]) {
      await writeFile(path, zipped.subarray(0, length));
      await expect(readIdx(path, 1)).rejects.toThrow(UserError);
      await expect(readIdx(path, 1)).rejects.toThrow(path);
    }
    await writeFile(path, randomBytes(100));
    await expect(readIdx(path, 1)).rejects.toThrow(`Cannot read ${path}: not a whole gzip file`);
  });
});
