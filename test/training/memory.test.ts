import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRuntime } from '../../src/pipeline/runtime.js';
import { DEFAULT_EVALUATION } from '../../src/training/evaluator.js';
import { leastMemoryPlan, memoryNeeds, planMemory, type MemoryRequest } from '../../src/training/memory.js';
import { readMetrics } from '../../src/training/metrics.js';
import { UserError } from '../../src/util/errors.js';
import { shippedSpace } from '../support/spaces.js';
import { digits, runTiny, tinySchedule } from './support/runs.js';

const request = (size: number, batchSize: number, name = 'ofa-mbv3'): MemoryRequest => ({
  space: shippedSpace(name, { imageSizes: [size] }),
  schedule: tinySchedule({ batchSize }),
  evaluation: DEFAULT_EVALUATION,
  validationImages: 10_000,
  dataBytes: 1e6,
});

describe('memoryNeeds', () => {
  it('grows with the batch and the image, in steps and in validation', () => {
    const [base, batch, image] = [
      memoryNeeds(request(64, 16)),
      memoryNeeds(request(64, 32)),
      memoryNeeds(request(128, 16)),
    ];
    for (const key of ['wholeStep', 'blockStep'] as const) {
      expect(batch[key]).toBeGreaterThan(base[key]);
      expect(image[key]).toBeGreaterThan(base[key]);
      expect(batch[key]).toBeLessThan(2 * base[key]);
    }
    expect(image.validation).toBeGreaterThan(3 * base.validation);
    expect(batch.validation).toBe(base.validation);
    expect(base.smallValidation).toBeLessThan(base.validation);
    expect(base.blockStep).toBeLessThan(0.6 * base.wholeStep);
  });

  it('looks at what phases train: without the largest subnet, at the largest of their part of the space', () => {
    const small = tinySchedule({
      phases: [{ name: 'part', epochs: 1, learningRate: 1, subnets: ['smallest'], choices: { e: 1, d: 1 } }],
    });
    const all = tinySchedule({
      phases: [{ name: 'part', epochs: 1, learningRate: 1, subnets: ['random', 'smallest'] }],
    });
    const of = (schedule: typeof small) => memoryNeeds({ ...request(64, 16), schedule }).wholeStep;
    expect(of(small)).toBe(of(all));
    expect(of(all)).toBe(memoryNeeds(request(64, 16)).wholeStep);
  });
});

describe('planMemory', () => {
  const wanted = request(224, 64);
  const needs = memoryNeeds(wanted);

  it('computes whole networks where they fit, else block by block, then in smaller validation batches', () => {
    const ways = new Map<string, number>();
    for (let gigabytes = 30; gigabytes > 0.5; gigabytes -= 0.25) {
      const plan = leastMemoryPlan(wanted, gigabytes * 1e9, needs);
      expect(plan.needed + plan.programBytes).toBeCloseTo(gigabytes * 1e9, 0);
      expect(plan.needed).toBeGreaterThan(
        needs.held + (plan.wholeNetworks ? needs.wholeStep : needs.blockStep),
      );
      ways.set(`${plan.wholeNetworks} ${plan.evaluation.calibrationBatch ?? 'as asked'}`, gigabytes);
    }
    expect([...ways.keys()]).toEqual(['true as asked', 'false as asked', 'false 64']);
    // The issue of ofa-mbv3 at 224x224 in batches of 64: whole within 12 GB.
    expect(planMemory(wanted, 12e9, needs)).toMatchObject({ wholeNetworks: true });
    expect(planMemory(wanted, 12e9, needs).evaluation.calibrationBatch).toBeUndefined();
  });

  it('keeps the limit or says what is needed, and the need it names is enough', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20_000 }), (megabytes) => {
        const limit = megabytes * 1e6;
        let message: string | undefined;
        try {
          const { needed, programBytes } = planMemory(wanted, limit, needs);
          expect(needed + programBytes).toBeLessThanOrEqual(limit * (1 + 1e-9));
          expect(programBytes).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toBeInstanceOf(UserError);
          ({ message } = error as UserError);
        }
        if (message === undefined) return;
        expect(message).toMatch(/^Cannot train within .* batch norm .* batchSize .* --image-sizes/);
        const [, amount, unit] = /needs about ([\d.]+) (MB|GB)/.exec(message)!;
        // Rounded to three digits.
        const named = Number(amount) * (unit === 'GB' ? 1e9 : 1e6) * 1.01;
        expect(named).toBeGreaterThan(limit);
        expect(() => planMemory(wanted, named, needs)).not.toThrow();
      }),
      { numRuns: 300 },
    );
  });

  it('limits what validation keeps', () => {
    expect(planMemory(wanted, 8e9, needs).evaluation.cacheBytes).toBe(0.5e9);
    expect(planMemory(wanted, 30e9, needs).evaluation.cacheBytes).toBe(DEFAULT_EVALUATION.cacheBytes);
  });
});

it('training block by block gives the losses of whole networks', async () => {
  const runtime = await createRuntime({ threads: 1 });
  const dataset = await digits(64);
  const losses = async (wholeNetworks: boolean): Promise<number[]> => {
    const folder = await mkdtemp(join(tmpdir(), 'ofakit-memory-'));
    try {
      await runTiny({ folder, runtime, dataset, validates: false, training: { wholeNetworks } });
      return (await readMetrics(join(folder, 'metrics.jsonl'))).map(({ loss }) => loss);
    } finally {
      await rm(folder, { recursive: true });
    }
  };
  const [whole, blocks] = [await losses(true), await losses(false)];
  await runtime.dispose();
  expect(whole.length).toBeGreaterThan(2);
  blocks.forEach((loss, i) => expect(Math.abs(loss - whole[i]!)).toBeLessThan(1e-3 * whole[i]!));
  // Another order of additions, so not the same bits.
  expect(blocks).not.toEqual(whole);
});
