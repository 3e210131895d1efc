import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readAccuracies, sampleAccuracies, type AccuracyScore } from '../../src/accuracy/dataset.js';
import { distinctArchitectures } from '../../src/accuracy/sampling.js';
import type { Architecture } from '../../src/space/architecture.js';
import { architectureKey } from '../../src/space/canonical.js';
import { countNetworks } from '../../src/space/enumerate.js';
import { InterruptedError, UserError } from '../../src/util/errors.js';
import { createRandom } from '../../src/util/random.js';
import { shippedSpace, smallSpace } from '../support/spaces.js';

const space = shippedSpace('mbv3-tiny');

/** A score that depends on the network only. */
function score(arch: Architecture): Promise<AccuracyScore> {
  const random = createRandom(architectureKey(space.genes, arch));
  return Promise.resolve({ top1: random.float(), top5: 1, loss: random.float(), count: 500 });
}

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ofakit-accuracies-'));
  file = join(folder, 'accuracies.jsonl');
});
afterEach(() => rm(folder, { recursive: true }));

type EvaluateAll = Parameters<typeof sampleAccuracies>[0]['evaluateAll'];
type Evaluate = (arch: Architecture) => Promise<AccuracyScore>;

const oneByOne =
  (evaluate: Evaluate, signal?: AbortSignal): EvaluateAll =>
  async (archs, tell) => {
    for (const [i, arch] of archs.entries()) {
      if (signal?.aborted === true) return;
      await tell(i, await evaluate(arch));
    }
  };

const sample = (count: number, more: Partial<Parameters<typeof sampleAccuracies>[0]> = {}) =>
  sampleAccuracies({
    space,
    count,
    evaluateAll: oneByOne(score),
    file,
    seed: 5,
    split: 'validation',
    weightsSha256: 'abc',
    ...more,
  });

describe('distinctArchitectures', () => {
  it('lists every network of a small space once, and ends', () => {
    const small = smallSpace();
    const keys = [...distinctArchitectures(small.genes, 1)].map(({ key }) => key);
    expect(BigInt(keys.length)).toBe(countNetworks(small.genes));
    expect(new Set(keys).size).toBe(keys.length);
  });
});

describe('sampleAccuracies', () => {
  it('evaluates distinct networks and returns what the file holds', async () => {
    const records = await sample(40);
    expect(new Set(records.map(({ architecture }) => architectureKey(space.genes, architecture))).size).toBe(
      40,
    );
    expect(await readAccuracies(file, space)).toEqual(records);
    expect(records[0]).toMatchObject({ ...(await score(records[0]!.architecture)), split: 'validation' });
  });

  it('writes the same bytes when interrupted, torn and extended', async () => {
    const records = await sample(12);
    const whole = await readFile(file);
    await rm(file);
    const controller = new AbortController();
    let evaluations = 0;
    const counted = (arch: Architecture): Promise<AccuracyScore> => {
      if (++evaluations === 4) controller.abort();
      return score(arch);
    };
    await expect(
      sample(12, { evaluateAll: oneByOne(counted, controller.signal), signal: controller.signal }),
    ).rejects.toThrow(InterruptedError);
    expect(evaluations).toBe(4);
    const part = await readFile(file);
    expect(part).toEqual(whole.subarray(0, part.length));
    // A kill in the middle of a write.
    await appendFile(file, whole.subarray(part.length, part.length + 30));
    await sample(8, { evaluateAll: oneByOne(counted) });
    expect(await sample(12, { evaluateAll: oneByOne(counted) })).toEqual(records);
    expect(evaluations).toBe(12);
    expect(await readFile(file)).toEqual(whole);
  });

  it('records how batch norm was recalibrated, and mixes no two ways', async () => {
    const calibration = { images: 100, batch: 20, seed: 3 };
    // As written before calibrations were recorded.
    const [old] = await sample(1);
    expect(old).not.toHaveProperty('calibration');
    const records = await sample(3, { calibration });
    expect(records.map((record) => record.calibration)).toEqual([undefined, calibration, calibration]);
    expect(await readAccuracies(file, space)).toEqual(records);
    await expect(sample(4, { calibration: { ...calibration, images: 200 } })).rejects.toThrow(
      /after a calibration on 200 images in batches of 20, seed 3: it holds those after one on 100 images/,
    );
    expect(await readAccuracies(file, space)).toEqual(records);
  });

  it('returns the list in its order, whatever order scores are told in', async () => {
    const forwards = await sample(6);
    await rm(file);
    const backwards: EvaluateAll = async (archs, tell) => {
      for (const [i, arch] of [...archs.entries()].reverse()) await tell(i, await score(arch));
    };
    expect(await sample(6, { evaluateAll: backwards })).toEqual(forwards);
    expect(await readAccuracies(file, space)).toEqual([...forwards].reverse());
  });

  it('starts over where the first line is torn', async () => {
    await sample(3);
    const whole = await readFile(file);
    await writeFile(file, whole.subarray(0, 20));
    await sample(3);
    expect(await readFile(file)).toEqual(whole);
  });

  it('does not evaluate a network of the file twice for another seed', async () => {
    const small = smallSpace();
    const all = Number(countNetworks(small.genes));
    const evaluated: string[] = [];
    const options = {
      space: small,
      evaluateAll: oneByOne((arch) => {
        evaluated.push(architectureKey(small.genes, arch));
        return Promise.resolve({ top1: 0.5, top5: 1, loss: 1, count: 1 });
      }),
    };
    await sample(all - 1, options);
    expect((await sample(all, { ...options, seed: 6 })).length).toBe(all);
    expect(evaluated.length).toBe(all);
    await expect(sample(all + 1, options)).rejects.toThrow(
      `the count must be from 1 to ${all}, as the space has no more networks: current value is ${all + 1}`,
    );
  });

  it('refuses a file of other weights or of another split, and leaves it', async () => {
    await sample(2);
    const before = await readFile(file);
    await expect(sample(3, { weightsSha256: 'def' })).rejects.toThrow(
      /must hold accuracies of weights "def": it holds those of "abc"; choose another file/,
    );
    await expect(sample(3, { split: 'test' })).rejects.toThrow(/accuracies of split "test"/);
    expect(await readFile(file)).toEqual(before);
  });

  it.each([
    { top1: Number.NaN, top5: 1, loss: 1, count: 1 },
    { top1: 0.5, top5: 1, loss: Number.POSITIVE_INFINITY, count: 1 },
    { top1: 91, top5: 100, loss: 1, count: 1 },
  ])('does not record %o', async (bad) => {
    await expect(sample(1, { evaluateAll: oneByOne(() => Promise.resolve(bad)) })).rejects.toThrow(
      RangeError,
    );
    expect(await readAccuracies(file, space)).toEqual([]);
  });

  it.each([0, -1, 1.5, Number.NaN])('refuses a count of %f', async (count) => {
    await expect(sample(count)).rejects.toThrow(UserError);
  });
});

describe('readAccuracies', () => {
  it.each([
    ['NaN', /line 2: it is not JSON/],
    ['null', /line 2 at "top1"/],
  ])('names the line of an accuracy %s', async (value, message) => {
    await sample(1);
    const line = (await readFile(file, 'utf8')).replace(/"top1":[^,]+/, `"top1":${value}`);
    await appendFile(file, line);
    await expect(readAccuracies(file, space)).rejects.toThrow(message);
  });

  it('names the line of an architecture of another space', async () => {
    await sample(1);
    await expect(readAccuracies(file, smallSpace())).rejects.toThrow(/line 1.*space "small"/);
  });

  it('keeps the first record of a network', async () => {
    const [record] = await sample(1);
    const line = (await readFile(file, 'utf8')).replace(/"top1":[^,]+/, '"top1":0');
    await appendFile(file, line);
    expect(await readAccuracies(file, space)).toEqual([record]);
  });
});
