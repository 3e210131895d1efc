/** `ofa finetune` and `ofa train --init` as users run them. */
import { beforeAll, expect, it } from 'vitest';
import { isOneLine, ofa } from './support/cli.js';
import { fewDigits, makeRun, SPACE_WORDS, writeSchedule } from './support/fixture.js';
import { temporaryFolder } from './support/folder.js';

const path = temporaryFolder();
const run = path('run');
const short = ['--epochs', '0.5', '--batch-size', '16', '--calibration-images', '32', '--workers', '0'];
let data: string;

beforeAll(async () => {
  data = fewDigits(path('digits'));
  await makeRun(run, data);
});

it('finetunes, says what became of it, and takes the file it wrote in place of --arch', async () => {
  const first = await ofa([
    'finetune',
    '--supernet',
    run,
    '--arch',
    'smallest',
    '--out',
    path('a'),
    ...short,
  ]);
  expect(first).toMatchObject({ code: 0 });
  expect(first.stdout).toMatch(
    /^top-1 +before +after\n.*\n?validation( +\d+\.\d+ % ± \d+\.\d+){2}\ntest( +\d+\.\d+ % ± \d+\.\d+){2}\n/m,
  );
  const model = path('a', 'model.onnx');
  expect(first.stdout).toContain(`\n${model}\n`);

  const second = await ofa(['finetune', model, '--supernet', run, '--out', path('b'), ...short, '--json']);
  expect(second).toMatchObject({ code: 0 });
  const document = JSON.parse(second.stdout) as Record<string, unknown>;
  expect(document).toMatchObject({ run: path('b'), steps: 4, verification: { passed: true } });

  // The same network from the same weights, so the same run; and it goes on as a run does.
  const evaluate = (folder: string) =>
    ofa(['eval', '--supernet', path(folder), '--arch', 'largest', '--calibration-images', '32', '--json']);
  const [a, b] = [await evaluate('a'), await evaluate('b')];
  expect(a).toMatchObject({ code: 0 });
  expect({ ...(JSON.parse(a.stdout) as object), supernet: '' }).toEqual({
    ...(JSON.parse(b.stdout) as object),
    supernet: '',
  });
  const exported = ['export', '--supernet', path('a'), '--arch', 'smallest', '--out', path('again.onnx')];
  expect(await ofa([...exported, '--calibration-images', '32'])).toMatchObject({ code: 0 });
  const other = ['finetune', model, '--supernet', run, '--out', path('a'), ...short, '--seed', '1'];
  expect(await ofa(other)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('another seed') as string,
  });
});

it('wants one architecture, and one that is in the space', async () => {
  const words = ['finetune', '--supernet', run, '--out', path('never')];
  for (const wrong of [words, [...words, 'model.onnx', '--arch', 'smallest']]) {
    const { code, stderr } = await ofa(wrong);
    expect(code).toBe(2);
    expect(stderr).toMatch(/either --arch or an exported file is wanted/);
  }
  const outside = await ofa([...words, '--arch', '{"image_size":17,"ks":3,"e":2,"d":2}']);
  expect(outside).toMatchObject({ code: 1, stdout: '' });
  expect(outside.stderr).toMatch(/image_size must be one of 16: current value is 17/);
  expect(isOneLine(outside.stderr)).toBe(true);
});

it('trains from another run, and lists the tensors of one that does not fit', async () => {
  const schedule = writeSchedule(path('schedule.json'), 0.2, 8);
  const words = ['train', '--data', data, '--schedule', schedule, '--init', run, '--workers', '0'];
  const done = await ofa([...words, ...SPACE_WORDS, '--out', path('on'), '--json']);
  expect(done).toMatchObject({ code: 0 });
  expect(JSON.parse(done.stdout)).toMatchObject({ steps: 3 });
  const wrong = await ofa([...words, '--space', 'mbv3-tiny', '--image-sizes', '16', '--out', path('never')]);
  expect(wrong).toMatchObject({ code: 1, stdout: '' });
  expect(wrong.stderr).toMatch(
    /^Cannot start from .*: its tensors must be those of space "mbv3-tiny": wrong shape: /,
  );
  expect(wrong.stderr).toContain('stage0.block0.project.weight must be [16, 32, 1, 1]: it is [8, 32, 1, 1]');
  expect(isOneLine(wrong.stderr)).toBe(true);
});
