/** `--validation-share`, from the command line to the splits that a run keeps. */
import { beforeAll, describe, expect, it } from 'vitest';
import { openDataset } from '../../src/data/index.js';
import { splitAll } from '../../src/data/splits.js';
import { splitAllByName } from '../../src/data/splitsByName.js';
import { isOneLine, ofa } from './support/cli.js';
import { fewDigits, SPACE_WORDS, writeSchedule } from './support/fixture.js';
import { temporaryFolder } from './support/folder.js';

const path = temporaryFolder();
let data: string;
const train = (...more: string[]): string[] => [
  'train',
  ...SPACE_WORDS,
  ...['--data', data, '--schedule', path('schedule.json'), '--out', path('run'), ...more],
];

beforeAll(() => {
  data = fewDigits(path('digits'), 20);
  writeSchedule(path('schedule.json'), 0.2, 8);
});

describe('--validation-share', () => {
  it('divides the data of a run, which keeps it', async () => {
    expect(await ofa(train('--validation-share', '0.4'))).toMatchObject({ code: 0 });
    const evaluate = ['eval', '--supernet', path('run'), '--arch', 'smallest', '--calibration-images', '16'];
    for (const [split, count] of [
      ['validation', 80],
      ['test', 30],
    ] as const) {
      const { stdout } = await ofa([...evaluate, '--split', split, '--json']);
      expect(JSON.parse(stdout)).toMatchObject({ split, count });
    }
    // Images that were trained on would become validation images.
    const other = await ofa(train('--validation-share', '0.2'));
    expect(other.code).toBe(1);
    expect(isOneLine(other.stderr)).toBe(true);
    const finetune = ['finetune', '--supernet', path('run'), '--arch', 'smallest', '--out', path('tuned')];
    const anew = await ofa([...finetune, '--data', data, '--validation-share', '0.2']);
    expect(anew).toMatchObject({ code: 1 });
    expect(anew.stderr).toContain('leave --validation-share out');
    const without = await ofa([...finetune, '--validation-share', '0.2']);
    expect(without).toMatchObject({ code: 2 });
  });

  it.each(['0', '0.9', 'half'])('refuses %s', async (share) => {
    const { code, stderr } = await ofa(train('--validation-share', share));
    expect(code).toBe(2);
    expect(stderr).toContain('--validation-share');
  });
});

it('a share that was not asked for leaves the splits as they always were', async () => {
  const usual = await openDataset(data);
  expect(usual.source).not.toHaveProperty('validationOfAll');
  expect([usual.splitSize('validation'), usual.splitSize('test')]).toEqual([30, 30]);
  const tenth = await openDataset(data, { validationFraction: 0.1 });
  expect([tenth.splitSize('validation'), tenth.splitSize('test')]).toEqual([20, 30]);
  const labels = Array.from({ length: 4000 }, (_, i) => i % 4);
  const names = labels.map((label, i) => `${label}/${i}.png`);
  expect(splitAll(labels, 0, 0.4).validation).toHaveLength(1600);
  const { train: rest, validation, test } = splitAllByName({ labels, names }, 0, 0.4);
  expect(validation.length / 4000).toBeCloseTo(0.4, 1);
  expect(test.length / 4000).toBeCloseTo(0.15, 1);
  expect(rest.length + validation.length + test.length).toBe(4000);
});
