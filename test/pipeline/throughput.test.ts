import { expect, it } from 'vitest';
import { openThroughput } from '../../src/pipeline/throughput.js';
import { disturbedWeights } from '../support/supernets.js';
import { tinySpace, twoThreads } from '../training/support/runs.js';

it('finds lanes and a batch size by trying, says what it found, and ends their threads', async () => {
  const space = tinySpace();
  const weights = disturbedWeights(space, 'throughput');
  const runtime = await twoThreads();
  const said: string[] = [];
  const logger = {
    info: (text: string) => void said.push(text),
    warn: () => undefined,
    progress: () => ({ update: () => undefined, stop: () => undefined }),
  };
  const found = await openThroughput({
    run: { space, weights },
    runtime,
    settings: { calibrationBatch: 16, evaluationBatch: 32 },
    architecture: { ...space.smallest },
    logger,
  });
  expect([1, 2]).toContain(found.lanes.length);
  expect([32, 50, 100, 200]).toContain(found.evaluationBatch);
  expect(said.join()).toMatch(
    /^Scoring [12] subnets? at a time in batches of \d+: \d+ images\/s, against \d+ one at a time in batches of 32$/,
  );
  await found.close();
  await runtime.dispose();
});
