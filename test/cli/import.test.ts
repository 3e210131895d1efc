/** A checkpoint in the reference's form becomes a run that every command takes. */
import { writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { foreignState } from '../support/foreignSupernet.js';
import { disturbedWeights } from '../support/supernets.js';
import { writeTorchFile, WrittenCall } from '../support/torchFile.js';
import { isOneLine, ofa } from './support/cli.js';
import { fewDigits, makeTable, space, SPACE_WORDS, writeSchedule } from './support/fixture.js';
import { temporaryFolder } from './support/folder.js';

const path = temporaryFolder();
const weights = disturbedWeights(space, 'imported');
let data = '';

async function json(args: readonly string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await ofa([...args, '--json']);
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as Record<string, unknown>;
}

const importWords = (file: string, run: string): string[] => [
  'import',
  '--format',
  'ofa-pytorch',
  '--weights',
  file,
  ...SPACE_WORDS,
  '--out',
  run,
];

beforeAll(async () => {
  data = fewDigits(path('digits'));
  await makeTable(path('table.json'));
  writeFileSync(path('w.pth'), writeTorchFile(new Map([['state_dict', foreignState(space, weights)]])));
});

describe('ofa import', () => {
  it('makes a run that eval, export, accuracy and search take', { timeout: 180_000 }, async () => {
    const run = path('run');
    const imported = await json(importWords(path('w.pth'), run));
    expect(imported).toMatchObject({ run, space: 'mbv3-tiny', tensors: weights.size });

    const common = ['--supernet', run, '--data', data, '--calibration-images', '16'];
    expect(await json(['eval', ...common, '--arch', 'smallest'])).toMatchObject({ calibrated: true });
    const onnx = path('smallest.onnx');
    const exported = await json(['export', ...common, '--arch', 'smallest', '--out', onnx]);
    expect(exported).toMatchObject({ path: onnx, verification: { passed: true } });

    expect(await json(['accuracy', 'sample', ...common, '--count', '12'])).toMatchObject({ count: 12 });
    await json(['accuracy', 'fit', '--supernet', run, '--held-out', '3']);
    const limit = ['--device', 'local-cpu', '--table', path('table.json'), '--max-latency-ms', '1000'];
    const search = ['search', '--supernet', run, ...limit];
    expect(Object.keys(await json(search)).length).toBeGreaterThan(0);
  });

  it('says in one line that the data must be given', async () => {
    const run = path('without-data');
    await json(importWords(path('w.pth'), run));
    const { code, stderr } = await ofa(['eval', '--supernet', run, '--arch', 'smallest']);
    expect({ code, stderr: isOneLine(stderr) }).toEqual({ code: 1, stderr: true });
    expect(stderr).toContain('--data');
  });

  it('never writes over a run, and does not train on in one', async () => {
    const run = path('taken');
    await json(importWords(path('w.pth'), run));
    const again = await ofa(importWords(path('w.pth'), run));
    expect(again).toMatchObject({ code: 1, stdout: '' });
    expect(again.stderr).toContain('give another --out');
    const schedule = writeSchedule(path('schedule.json'), 0.2, 8);
    const train = await ofa(['train', ...SPACE_WORDS, '--data', data, '--schedule', schedule, '--out', run]);
    expect(train.code).toBe(1);
    expect(train.stderr).toContain('its supernet was imported');
  });

  it('exits with 1 for files that are missing, hostile or of another space', async () => {
    const missing = await ofa(importWords(path('none.pth'), path('x')));
    expect({ code: missing.code, line: isOneLine(missing.stderr) }).toEqual({ code: 1, line: true });
    writeFileSync(path('evil.pth'), writeTorchFile(new WrittenCall('os', 'system', ['true'])));
    const evil = await ofa(importWords(path('evil.pth'), path('x')));
    expect(evil).toMatchObject({ code: 1, stdout: '' });
    expect(evil.stderr).toContain('"os.system"');
    const other = await ofa([
      'import',
      '--weights',
      path('w.pth'),
      '--space',
      'mbv3-cifar',
      '--out',
      path('x'),
    ]);
    expect(other).toMatchObject({ code: 1, stdout: '' });
    const lines = other.stderr.trimEnd().split('\n');
    expect(lines.length).toBeLessThanOrEqual(5);
    expect(lines[lines.length - 1]).toMatch(
      /^Cannot import .*w\.pth: its tensors must be .*; \d+ do not; is --space, --width or --classes another\?$/,
    );
    expect(lines[0]).toMatch(/^Warning: (missing|unexpected|wrong shape): \d+ tensors, the first /);
  });

  it('takes width and classes from the shapes of the file, unless they are given', async () => {
    const words = ['import', '--weights', path('w.pth'), '--space', 'mbv3-tiny', '--image-sizes', '16'];
    const imported = await json([...words, '--out', path('inferred')]);
    expect(imported).toMatchObject({ width: 0.5, classes: 10, tensors: weights.size });
    const given = await ofa([...words, '--width', '1', '--out', path('given')]);
    expect(given.code).toBe(1);
    expect(given.stderr).toContain('(width 1, 10 classes)');
  });
});
