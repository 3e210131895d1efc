import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Elapsed } from '../../src/util/elapsed.js';
import { UserError } from '../../src/util/errors.js';

describe('Elapsed', () => {
  let folder: string;
  let now = 0;
  const clock = (): number => now;
  const takes = (seconds: number, failure?: Error) => (): Promise<void> => {
    now += 1000 * seconds;
    return failure === undefined ? Promise.resolve() : Promise.reject(failure);
  };
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ofakit-elapsed-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('sums over calls and stages, those that were stopped too, and not what lies between', async () => {
    const path = join(folder, 'deep', 'elapsed.json');
    const stopped = new Error('stopped');
    const first = await Elapsed.open(path, clock);
    await expect(first.count('train', takes(3, stopped))).rejects.toBe(stopped);
    now += 1e9;
    const second = await Elapsed.open(path, clock);
    await second.count('train', takes(4));
    await second.count('search', async () => {
      await takes(2)();
      // What runs is counted so far.
      expect(second.seconds('search')).toBe(2);
      expect(second.seconds()).toBe(9);
      await takes(1)();
    });
    expect(second.seconds('train')).toBe(7);
    const third = await Elapsed.open(path, clock);
    expect([third.seconds('train'), third.seconds('search'), third.seconds()]).toEqual([7, 3, 10]);
  });

  it('does not hide how the work ended where the file cannot be written', async () => {
    await writeFile(join(folder, 'file'), '');
    const blocked = await Elapsed.open(join(folder, 'file', 'elapsed.json'), clock);
    const failure = new UserError('Cannot train: no');
    await expect(blocked.count('train', takes(1, failure))).rejects.toBe(failure);
    await blocked.count('train', takes(1));
    expect(blocked.seconds()).toBe(2);
  });

  it('refuses a file of another kind', async () => {
    const path = join(folder, 'other.json');
    await writeFile(path, '{"format":"ofakit.elapsed/1","seconds":{"train":-1}}');
    await expect(Elapsed.open(path)).rejects.toThrow(/seconds\.train/);
  });
});
