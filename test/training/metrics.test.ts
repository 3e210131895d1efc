import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readMetrics, rewindMetrics, type Metric } from '../../src/training/metrics.js';
import { appendJsonLine } from '../../src/util/files.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ofakit-metrics-'));
});
afterAll(() => rm(folder, { recursive: true }));

const line = (step: number): Metric => ({
  kind: 'step',
  phase: 'p',
  step,
  epoch: step / 10,
  loss: 1 / step,
  learningRate: 0.1,
  imagesPerSecond: 5,
});

describe('rewindMetrics', () => {
  it('drops what came after the checkpoint, and a line that a kill cut off', async () => {
    const path = join(folder, 'a.jsonl');
    for (const step of [5, 10, 15]) await appendJsonLine(path, line(step));
    await appendFile(path, '{"kind":"st');
    await rewindMetrics(path, 10);
    expect(await readMetrics(path)).toEqual([line(5), line(10)]);
    await appendJsonLine(path, line(15));
    expect((await readFile(path, 'utf8')).split('\n')).toHaveLength(4);
  });

  it('takes a missing file for an empty one', async () => {
    const path = join(folder, 'none.jsonl');
    await rewindMetrics(path, 3);
    expect(await readMetrics(path)).toEqual([]);
  });
});
