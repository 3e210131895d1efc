/** A supernet of bottlenecks goes through training: every phase, elastic width included. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { readMetrics } from '../../src/training/metrics.js';
import { tinyResnet } from '../support/spaces.js';
import { digits, runTiny, tinySchedule, twoThreads } from './support/runs.js';

it('learns digits, also in its smaller subnets', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ofakit-resnet-'));
  const runtime = await twoThreads();
  onTestFinished(async () => {
    await runtime.dispose();
    await rm(folder, { recursive: true });
  });
  const common = { subnets: ['largest', 'random'] as const };
  await runTiny({
    folder,
    runtime,
    dataset: await digits(200, 100),
    validates: true,
    training: {
      space: tinyResnet({ imageSizes: [16] }),
      schedule: tinySchedule({
        batchSize: 20,
        labelSmoothing: 0,
        phases: [
          {
            ...common,
            name: 'depth',
            epochs: 5,
            learningRate: 0.2,
            subnets: [...common.subnets],
            choices: { e: 1, w: 1 },
          },
          {
            ...common,
            name: 'width',
            epochs: 5,
            learningRate: 0.1,
            subnets: [...common.subnets],
            sortChannels: true,
          },
        ],
      }),
      validateEveryEpochs: 100,
    },
  });
  const metrics = await readMetrics(join(folder, 'metrics.jsonl'));
  const losses = metrics.filter(({ kind }) => kind === 'step').map(({ loss }) => loss);
  expect(losses.at(-1)).toBeLessThan(0.7 * losses[0]!);
  const validated = metrics.filter((metric) => metric.kind === 'validation').slice(-4);
  expect(validated.map(({ subnet }) => subnet)).toEqual(['largest', 'smallest', 'random 0', 'random 1']);
  // Of 24 images: by chance one run in a thousand gets this far.
  for (const { top1 } of validated) expect(top1).toBeGreaterThan(0.3);
});
