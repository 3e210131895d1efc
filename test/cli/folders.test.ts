/** Runs are opened from other folders than the one they were made in. */
import { mkdirSync } from 'node:fs';
import { expect, it } from 'vitest';
import { ofa } from './support/cli.js';
import { fewDigits, SPACE_WORDS, writeSchedule } from './support/fixture.js';
import { temporaryFolder } from './support/folder.js';

const path = temporaryFolder();

it('a run finds its data again, and goes on, from another folder', async () => {
  fewDigits(path('here', 'digits'));
  mkdirSync(path('there'));
  const schedule = writeSchedule(path('schedule.json'), 0.2, 8);
  const train = (data: string, out: string): string[] => [
    'train',
    ...SPACE_WORDS,
    ...['--data', data, '--schedule', schedule, '--out', out],
  ];
  expect(await ofa(train('mnist:digits', '../run'), { cwd: path('here') })).toMatchObject({ code: 0 });
  const there = { cwd: path('there') };
  const evaluate = ['eval', '--supernet', '../run', '--arch', 'smallest', '--calibration-images', '16'];
  expect(await ofa(evaluate, there)).toMatchObject({ code: 0 });
  expect(await ofa(train('mnist:../here/digits', '../run'), there)).toMatchObject({ code: 0 });
}, 60_000);
