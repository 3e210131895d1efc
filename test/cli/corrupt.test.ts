import { mkdirSync, writeFileSync } from 'node:fs';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { isOneLine, ofa } from './support/cli.js';
import { writeSchedule } from './support/fixture.js';
import { temporaryFolder } from './support/folder.js';

const path = temporaryFolder();
const TRAIN = 12;
const TEST = 6;

/** train/ and test/ with two classes of one-colour images, two of them damaged. */
beforeAll(async () => {
  for (const [label, red] of [
    ['dark', 20],
    ['light', 220],
  ] as const) {
    for (const [part, count] of [
      ['train', TRAIN],
      ['test', TEST],
    ] as const) {
      mkdirSync(path('images', part, label), { recursive: true });
      for (let i = 0; i < count; i++) {
        const background = { r: red, g: 10 * i, b: 90 };
        const image = sharp({ create: { width: 16, height: 16, channels: 3, background } });
        await image.png().toFile(path('images', part, label, `${i}.png`));
      }
    }
  }
  writeFileSync(path('images/train/dark/bad.png'), 'not an image');
  writeFileSync(path('images/test/light/bad.png'), 'not an image');
});

const words = (run: string, ...more: string[]): string[] => [
  ...['train', '--space', 'mbv3-cifar', '--width', '0.25', '--image-sizes', '16', '--classes', '2'],
  // No validation part: a tenth of train, by class.
  ...['--data', `imagefolder:${path('images')}`, '--schedule', writeSchedule(path('schedule.json'), 2, 6)],
  ...['--out', path(run), ...more],
];

describe('corrupt images', () => {
  it('stop a training that was not told to skip them: one line names the file and what to do', async () => {
    const { code, stdout, stderr } = await ofa(words('fails'));
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr.trimEnd().split('\n').pop()).toMatch(
      /^Cannot decode .*train\/dark\/bad\.png: .*--on-corrupt skip/,
    );
    expect(stderr).not.toMatch(/\bat .*:\d+:\d+/);
  });

  it('are named and counted where they may be skipped, and the run remembers that', async () => {
    const trained = await ofa(words('skips', '--on-corrupt', 'skip', '--json'));
    expect(trained.code).toBe(0);
    expect(trained.stderr).toMatch(/Warning: Skipped .*train\/dark\/bad\.png: it cannot be decoded/);
    const { skippedImages } = JSON.parse(trained.stdout) as { skippedImages: string[] };
    expect(skippedImages).toEqual([path('images/train/dark/bad.png')]);

    const evaluate = ['eval', '--supernet', path('skips'), '--arch', 'smallest', '--calibration-images', '4'];
    const tested = await ofa([...evaluate, '--split', 'test', '--json']);
    expect(tested.code).toBe(0);
    const score = JSON.parse(tested.stdout) as { count: number; skippedImages: string[] };
    expect(score).toMatchObject({ count: 2 * TEST });
    expect(score.skippedImages).toContain(path('images/test/light/bad.png'));
    expect((await ofa([...evaluate, '--split', 'test'])).stdout).toMatch(
      /\nSkipped \d images? that cannot be decoded\n$/,
    );

    const strict = await ofa([...evaluate, '--split', 'test', '--on-corrupt', 'fail']);
    expect(strict).toMatchObject({ code: 1, stdout: '' });
    expect(isOneLine(strict.stderr)).toBe(true);
    expect(strict.stderr).toMatch(/^Cannot decode .*bad\.png/);

    const sample = [
      'accuracy',
      'sample',
      '--supernet',
      path('skips'),
      '--count',
      '2',
      '--calibration-images',
      '4',
    ];
    expect(await ofa([...sample, '--on-corrupt', 'skip', '--json'])).toMatchObject({ code: 0 });
  });
});
