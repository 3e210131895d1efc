/** What `ofa train` says and refuses beyond training itself: profile, memory, providers. */
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { TrainingProfile } from '../../src/training/profile.js';
import { isOneLine, ofa } from './support/cli.js';
import { fewDigits, SPACE_WORDS, writeSchedule } from './support/fixture.js';
import { temporaryFolder } from './support/folder.js';

const path = temporaryFolder();
let words: string[];
beforeAll(() => {
  const data = fewDigits(path('digits'));
  const schedule = writeSchedule(path('schedule.json'), 1, 8);
  words = ['train', ...SPACE_WORDS, '--data', data, '--schedule', schedule, '--workers', '0'];
});

describe('ofa train --profile', () => {
  it('ends after its steps with figures, as JSON and as a table; the command without it goes on', async () => {
    const run = path('profiled');
    const first = await ofa([...words, '--out', run, '--profile', '--profile-steps', '2', '--json']);
    expect(first.code).toBe(0);
    const result = JSON.parse(first.stdout) as {
      steps: number;
      peakMemoryBytes: number;
      profile: TrainingProfile;
    };
    expect(result.steps).toBe(7);
    expect(result.peakMemoryBytes).toBeGreaterThan(50e6);
    expect(result.profile).toMatchObject({ steps: 2, warmupSteps: 5, batchSize: 8 });
    const { operations, outside, stepMs } = result.profile;
    const all = [...operations.map(({ ms }) => ms), ...Object.values(outside)];
    expect(all.reduce((sum, ms) => sum + ms, 0)).toBeCloseTo(stepMs, 6);

    const second = await ofa([...words, '--out', run, '--profile', '--profile-steps', '1']);
    expect(second.code).toBe(0);
    expect(second.stdout).toMatch(/^Means of 1 steps after 5 that do not count/);
    expect(second.stdout).toMatch(/^conv2d +\d/m);
    expect(second.stdout).toMatch(/^Trained 13 steps; .*\nPeak memory [\d.]+ MB\n$/m);

    const rest = await ofa([...words, '--out', run, '--json']);
    expect(JSON.parse(rest.stdout)).not.toHaveProperty('profile');
  });
});

describe('ofa train refuses', () => {
  const refusals = (): [string[], number, RegExp][] => [
    [['--max-memory', 'lots'], 2, /--max-memory: an amount such as 12GB/],
    [
      ['--max-memory', '20MB'],
      1,
      /^Cannot train within 20 MB: "mbv3-tiny" with 8 images of 16x16 a step needs/,
    ],
    [['--profile', '--profile-steps', '0'], 2, /--profile-steps: a whole number of at least 1/],
    [['--provider', 'abacus'], 2, /Allowed choices are cpu, cuda, webgpu/],
    [['--provider', 'webgpu', '--engine', 'tfjs'], 2, /--provider webgpu with --engine tfjs/],
  ];

  it('what it cannot do, in one line, before anything is written', async () => {
    const out = path('refused');
    for (const [rest, code, message] of refusals()) {
      const result = await ofa([...words, '--out', out, ...rest]);
      expect(result).toMatchObject({ code, stdout: '' });
      expect(result.stderr).toMatch(message);
      expect(isOneLine(result.stderr)).toBe(true);
    }
    expect(existsSync(out)).toBe(false);
  });

  const bin = join(dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json')), 'bin');
  const installed = readdirSync(bin, { recursive: true, encoding: 'utf8' }).some((file) =>
    file.includes('providers_cuda'),
  );

  it.skipIf(installed)('CUDA where its libraries are not installed, saying how to install them', async () => {
    const result = await ofa([...words, '--out', path('refused'), '--provider', 'cuda']);
    expect(result).toMatchObject({ code: 1, stdout: '' });
    expect(result.stderr).toMatch(
      /^Cannot compute on "cuda": .*"node node_modules\/onnxruntime-node\/script/,
    );
    expect(isOneLine(result.stderr)).toBe(true);
  });
});
