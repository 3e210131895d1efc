/** `ofa train --profile`: what it tells, and that training is what it is without. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { formatProfile } from '../../src/cli/profileTable.js';
import { train, type TrainedSupernet, type TrainRequest } from '../../src/pipeline/train.js';
import { silentLogger } from '../../src/util/logger.js';
import { tinySchedule, tinySpace } from '../training/support/runs.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'ofakit-train-profile-'));
});
afterAll(() => rm(root, { recursive: true }));
afterEach(() => vi.unstubAllEnvs());

const newFolder = (): Promise<string> => mkdtemp(join(root, 'run-'));
const run = (folder: string, rest: Partial<TrainRequest> = {}): Promise<TrainedSupernet> =>
  train({
    space: tinySpace({ imageSizes: [8] }),
    // 11 steps: mostly in the second phase, whose teacher is a program of its own.
    schedule: tinySchedule({
      phases: [
        { name: 'largest', epochs: 3, learningRate: 0.1, subnets: ['largest'] },
        {
          name: 'random',
          epochs: 8,
          learningRate: 0.1,
          subnets: ['random', 'smallest'],
          distillation: { teacher: 'largest' },
        },
      ],
    }),
    data: 'mnist',
    epochsScale: 1 / 437,
    folder,
    seed: 3,
    threads: 1,
    workers: 0,
    validateEveryEpochs: 1e9,
    evaluation: { calibrationImages: 32, calibrationBatch: 16, evaluationBatch: 50, limit: 50 },
    logger: silentLogger,
    ...rest,
  });

describe('train with profileSteps', () => {
  it('tells where the time of the steps went, stops behind them, and leaves no trace', async () => {
    const temporary = await mkdtemp(join(root, 'tmp-'));
    for (const variable of ['TMPDIR', 'TMP', 'TEMP']) vi.stubEnv(variable, temporary);
    const folder = await newFolder();
    const { steps, profile, peakMemoryBytes } = await run(folder, { profileSteps: 3 });
    expect(await readdir(temporary)).toEqual([]);
    expect(steps).toBe(8);
    expect(peakMemoryBytes).toBeGreaterThan(process.memoryUsage.rss() / 2);
    expect(profile).toMatchObject({ steps: 3, warmupSteps: 5, phases: ['random'], batchSize: 16 });
    const { operations, outside, stepMs } = profile!;
    const inside = operations.reduce((sum, { ms }) => sum + ms, 0);
    const outsideMs = Object.values(outside).reduce((sum, ms) => sum + ms, 0);
    expect(inside + outsideMs).toBeCloseTo(stepMs, 6);
    for (const part of Object.values(outside)) expect(part).toBeGreaterThanOrEqual(0);
    for (const part of ['betweenKernelsMs', 'callsMs', 'slicingMs', 'scatterMs', 'updateMs'] as const)
      expect(outside[part], part).toBeGreaterThan(0);
    const names = operations.map(({ operation }) => operation);
    for (const name of [
      'conv2d',
      'conv2dInputGradient',
      'conv2dWeightGradient',
      'batchNorm',
      'activationGradient',
    ])
      expect(names).toContain(name);
    expect(operations.map(({ ms }) => ms)).toEqual(operations.map(({ ms }) => ms).sort((a, b) => b - a));

    const table = formatProfile(profile!);
    expect(table).toMatch(/^Means of 3 steps after 5 that do not count \(random; 16 images a step\)\n/);
    for (const row of ['conv2d', 'all kernels', 'updating weights', 'waiting for data', 'step'])
      expect(table).toMatch(new RegExp(`^${row} +\\d+\\.\\d\\d +\\d+\\.\\d`, 'm'));

    // The same command goes on, and ends with the weights of a run that was never profiled.
    const rest = await run(folder);
    expect(rest.profile).toBeUndefined();
    const whole = await run(await newFolder());
    expect([rest.steps, rest.weightsSha256]).toEqual([whole.steps, whole.weightsSha256]);
  });

  it('profiles what there is where training ends earlier, and nothing where it is done', async () => {
    const folder = await newFolder();
    const { steps, profile } = await run(folder, { profileSteps: 100 });
    expect(profile!.steps).toBe(steps - 5);
    expect((await run(folder, { profileSteps: 100 })).profile).toBeUndefined();
  });
});
