/** What `ofa train` says it will take: dry runs write nothing, figures follow from the plan, and what is left is told. */
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { isOneLine, ofa } from './support/cli.js';
import { fewDigits, SPACE_WORDS, writeSchedule } from './support/fixture.js';
import { temporaryFolder } from './support/folder.js';

const path = temporaryFolder();
let words: string[];
beforeAll(() => {
  const data = fewDigits(path('digits'));
  const schedule = {
    format: 'ofakit.schedule/1',
    name: 'two',
    description: 'for tests',
    batchSize: 8,
    momentum: 0.9,
    weightDecay: 0,
    labelSmoothing: 0,
    phases: [
      { name: 'first', epochs: 1, learningRate: 0.01, subnets: ['largest'] },
      {
        name: 'second',
        epochs: 2,
        learningRate: 0.01,
        subnets: ['random'],
        distillation: { teacher: 'largest' },
      },
    ],
  };
  writeFileSync(path('schedule.json'), JSON.stringify(schedule));
  words = ['train', ...SPACE_WORDS, '--data', data, '--schedule', path('schedule.json'), '--workers', '0'];
});

interface Estimate {
  readonly phases: { name: string; steps: number; stepSeconds: number; seconds: number }[];
  readonly steps: number;
  readonly stepsDone: number;
  readonly secondsLeft: number;
  readonly diskBytes: number;
  readonly peakDiskBytes: number;
  readonly freeDiskBytes: number;
}

const dryRun = async (out: string): Promise<Estimate> => {
  const { code, stdout } = await ofa([...words, '--out', out, '--dry-run', '--json']);
  expect(code).toBe(0);
  return JSON.parse(stdout) as Estimate;
};

describe('ofa train --dry-run', () => {
  it('tells phases, steps, time and disk, leaves nothing, and the run is as it said', async () => {
    const out = path('new', 'run');
    const before = readdirSync(path());
    const estimate = await dryRun(out);
    expect(readdirSync(path())).toEqual(before);
    expect(estimate).toMatchObject({ run: out, dryRun: true, stepsDone: 0 });
    expect(estimate.phases.map(({ name }) => name)).toEqual(['first', 'second']);
    const [first, second] = estimate.phases;
    expect(second!.steps).toBe(2 * first!.steps);
    expect(estimate.steps).toBe(3 * first!.steps);
    for (const { steps, stepSeconds, seconds } of estimate.phases) {
      expect(stepSeconds).toBeGreaterThan(0);
      expect(seconds).toBeGreaterThan(steps * stepSeconds);
    }
    expect(estimate.secondsLeft).toBeCloseTo(first!.seconds + second!.seconds, 6);
    expect(estimate.freeDiskBytes).toBeGreaterThan(estimate.peakDiskBytes);

    const trained = await ofa([...words, '--out', out, '--json']);
    expect(trained.stderr).toContain(`Training: 2 phases, ${estimate.steps} steps; `);
    expect(JSON.parse(trained.stdout)).toMatchObject({ steps: estimate.steps });
    const tensors = readdirSync(out).filter((name) => name.endsWith('.safetensors'));
    const bytes = tensors.reduce((sum, name) => sum + statSync(`${out}/${name}`).size, 0);
    // Headers of the files come on top.
    expect(bytes).toBeGreaterThan(estimate.diskBytes);
    expect(bytes).toBeLessThan(1.3 * estimate.diskBytes);

    const again = await dryRun(out);
    expect(again).toMatchObject({ stepsDone: estimate.steps, secondsLeft: 0 });
    const text = await ofa([...words, '--out', out, '--dry-run']);
    expect(text.stdout).toMatch(/^phase +name +steps +s a step +time\n +1 +first +\d+/);
    expect(text.stdout).toContain('Nothing was written');
    expect(text.stdout).not.toMatch(/NaN|undefined/);
  });

  it('is refused as the training would be', async () => {
    const out = path('other');
    const schedule = writeSchedule(path('short.json'), 1, 8);
    expect((await ofa([...words, '--schedule', schedule, '--out', out])).code).toBe(0);
    const refused = await ofa([...words, '--out', out, '--dry-run']);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toMatch(/Cannot go on with the run in .*: it was started with another schedule/);
    const both = await ofa([...words, '--out', path('none'), '--dry-run', '--profile']);
    expect(both).toMatchObject({ code: 2, stdout: '' });
    expect(isOneLine(both.stderr)).toBe(true);
    expect(existsSync(path('none'))).toBe(false);
  });
});
