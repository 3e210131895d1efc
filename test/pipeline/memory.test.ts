import { describe, expect, it } from 'vitest';
import { openDataset } from '../../src/data/index.js';
import { programBytes } from '../../src/engine/programBytes.js';
import { ProgramCache } from '../../src/engine/programCache.js';
import { referenceEngine } from '../../src/engine/reference.js';
import { GraphBuilder } from '../../src/graph/graph.js';
import { affine } from '../../src/graph/operations/elementwise.js';
import { MemoryGuard, planTrainingMemory } from '../../src/pipeline/memory.js';
import { silentLogger, type Logger } from '../../src/util/logger.js';
import { formatBytes, peakMemoryBytes } from '../../src/util/memory.js';
import { tinySchedule, tinySpace } from '../training/support/runs.js';

const listener = (): { told: string[]; logger: Logger } => {
  const told: string[] = [];
  const tell = (message: string): void => void told.push(message);
  return { told, logger: { ...silentLogger, info: tell, warn: tell } };
};

describe('planTrainingMemory', () => {
  it('says nothing where all fits, and what it does where not', async () => {
    const { told, logger } = listener();
    const space = tinySpace({ imageSizes: [96] });
    const schedule = tinySchedule({ batchSize: 64 });
    const dataset = await openDataset('mnist');
    const plan = (maxMemory?: number) =>
      planTrainingMemory({
        space,
        schedule,
        dataset,
        logger,
        ...(maxMemory === undefined ? {} : { maxMemory }),
      });
    expect(plan().wholeNetworks).toBe(true);
    expect(plan(4e9).wholeNetworks).toBe(true);
    expect(told).toEqual([]);
    const { needed } = plan(4e9);
    const tight = plan(needed);
    expect(tight.wholeNetworks && tight.evaluation.calibrationBatch === undefined).toBe(false);
    expect(told.join()).toMatch(/to stay within .* of memory/);
    expect(() => plan(1e6)).toThrow(
      'Cannot train within 1 MB: "tiny" with 64 images of 96x96 a step needs about',
    );
  });
});

describe('MemoryGuard', () => {
  it('warns once where more is held than allowed, and has fewer programs kept', async () => {
    const graph = (factor: number) => {
      const b = new GraphBuilder();
      b.output('y', affine(b, b.input('x', [2]), factor));
      return b.build();
    };
    const each = programBytes(graph(1));
    const programs = new ProgramCache(referenceEngine, 100 * each);
    const compile = (factor: number) => programs.get(`${factor}`, () => graph(factor));
    for (let factor = 0; factor < 8; factor++) await compile(factor);
    const { told, logger } = listener();
    let held = 900;
    const guard = new MemoryGuard(1000, programs, logger, () => held);
    guard.check();
    expect(told).toEqual([]);
    held = 1500;
    guard.check();
    held = 2000;
    guard.check();
    expect(told).toHaveLength(1);
    expect(told[0]).toMatch(/^Training holds 1.5 KB of memory, above the limit of 1 KB: /);
    await compile(8);
    expect(programs.statistics.bytes).toBe(4 * each);
  });

  it('looks at this process', () => {
    const { told, logger } = listener();
    new MemoryGuard(1e6, new ProgramCache(referenceEngine), logger).check();
    expect(told).toHaveLength(1);
    expect(peakMemoryBytes()).toBeGreaterThan(20e6);
    expect(peakMemoryBytes()).toBeLessThan(100e9);
  });
});

it('formatBytes', () => {
  const amounts = [0, 999, 1000, 1234, 123_456_789, 12e9, 5e15].map(formatBytes);
  expect(amounts).toEqual(['0 B', '999 B', '1 KB', '1.23 KB', '123 MB', '12 GB', '5000 TB']);
});
