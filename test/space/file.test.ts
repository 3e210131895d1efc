import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { toFile } from '../../src/space/architecture.js';
import { readArchitecture } from '../../src/space/file.js';
import { sampleArchitecture } from '../../src/space/sampling.js';
import { createRandom } from '../../src/util/random.js';
import { UserError } from '../../src/util/errors.js';
import { shippedSpace, smallSpace } from '../support/spaces.js';

const space = shippedSpace('ofa-mbv3');

describe('readArchitecture', () => {
  it('reads back what was written', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        const arch = sampleArchitecture(space.genes, createRandom(seed));
        expect(await readArchitecture(JSON.stringify(toFile(arch)), space)).toEqual(arch);
      }),
    );
  });

  it('reads a file, other keys of which do not matter', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'arch-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const path = join(folder, 'a.json');
    await writeFile(path, JSON.stringify({ ...toFile(space.largest), w: null, wid: null, note: 'x' }));
    expect(await readArchitecture(path, space)).toEqual(space.largest);
    await expect(readArchitecture(join(folder, 'b.json'), space)).rejects.toThrow('there is no such file');
  });

  it('knows the words largest and smallest', async () => {
    expect(await readArchitecture('largest', space)).toBe(space.largest);
    expect(await readArchitecture(' smallest ', space)).toBe(space.smallest);
  });

  it('spreads a number over all positions, except those without a choice', async () => {
    expect(await readArchitecture('{"image_size":224,"ks":7,"e":6,"d":4}', space)).toEqual(space.largest);
    const fixed = smallSpace([
      { depth: [1, 2], kernel: [3, 5], expand: [2, 3] },
      { depth: [1], kernel: [3], expand: [2, 3] },
    ]);
    expect(await readArchitecture('{"image_size":16,"ks":5,"e":3,"d":2}', fixed)).toMatchObject({
      d: [2, 1],
      ks: [5, 5, 3],
    });
  });

  it.each([
    ['{"image_size":224,"ks":7,"e":5,"d":4}', /e\[0\] must be one of 3, 4, 6: current value is 5/],
    ['{"image_size":225,"ks":7,"e":6,"d":4}', /image_size must be one of 128, .*: current value is 225/],
    ['{"image_size":224,"ks":[7],"e":6,"d":4}', /ks must have 20 values: it has 1/],
    ['{"ks":7,"e":6,"d":4}', /at "image_size"/],
    ['{"image_size":224', /it is not JSON/],
  ])('says what is wrong with %s', async (text, message) => {
    const failure = readArchitecture(text, space);
    await expect(failure).rejects.toThrow(UserError);
    await expect(failure).rejects.toThrow(message);
  });
});

describe("files of the reference's own tools", () => {
  const ks = [5, 3, 7, 3, 5, 3, 3, 7, 3, 5, 5, 3, 7, 3, 3, 5, 3, 7, 5, 3];
  const e = [3, 4, 6, 3, 4, 3, 6, 6, 4, 3, 3, 6, 6, 4, 3, 6, 6, 4, 3, 3];
  const d = [2, 3, 4, 2, 3];
  const read = (file: object): Promise<unknown> => readArchitecture(JSON.stringify(file), space);

  it('as `ArchEncoder.random_sample_arch` returns them', async () => {
    expect(await read({ ks, e, d, image_size: 176 })).toEqual({ imageSize: 176, ks, e, d });
  });

  it('as the tutorial samples them: "r" is a list of one, "wid" null', async () => {
    expect(await read({ wid: null, ks, e, d, r: [176] })).toEqual({ imageSize: 176, ks, e, d });
    await expect(read({ wid: null, ks, e, d, r: [176, 192] })).rejects.toThrow(/at "r": one image size/);
    await expect(read({ wid: null, ks, e, d, r: [160], image_size: 176 })).rejects.toThrow(
      /"image_size" and "r" must be the same image size: they are 176 and 160/,
    );
  });

  it('as `feature2arch` returns them: zeros beyond the depth', async () => {
    const zeroed = (list: readonly number[]): number[] => list.map((v, i) => (i % 4 < d[i >> 2]! ? v : 0));
    const file = { ks: zeroed(ks), e: zeroed(e), d, image_size: 176 };
    const arch = await readArchitecture(JSON.stringify(file), space);
    expect(toFile(arch)).toEqual(file);
    expect(space.network(arch)).toEqual(space.network({ imageSize: 176, ks, e, d }));
    await expect(read({ ...file, ks: [0, ...ks.slice(1)] })).rejects.toThrow(/ks\[0\] .*current value is 0/);
  });

  it('as `sample_active_subnet` returns them, once the image size is added', async () => {
    await expect(read({ ks, e, d })).rejects.toThrow(/at "image_size"/);
    expect(await read({ ks: 7, e: [...e], d: 4, image_size: 224, w: null })).toMatchObject({
      ks: Array.from({ length: 20 }, () => 7),
      d: [4, 4, 4, 4, 4],
    });
  });
});
