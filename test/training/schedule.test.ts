import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  learningRateAt,
  loadSchedule,
  planSchedule,
  scheduleSchema,
  type PhasePlan,
} from '../../src/training/schedule.js';
import { schedules } from '../../src/training/schedules/index.js';
import { UserError } from '../../src/util/errors.js';
import { parseJson } from '../../src/util/files.js';
import { tinySchedule } from './support/runs.js';

const phase = { name: 'p', epochs: 10, learningRate: 0.4, subnets: ['random'] } as const;
const withPhases = (...phases: readonly object[]) => scheduleSchema.parse({ ...tinySchedule(), phases });

describe('presets', () => {
  it.each([...schedules.keys()])('%s parses, under its own name', async (name) => {
    expect((await loadSchedule(name)).name).toBe(name);
  });

  it('progressive has the epochs, rates at 32 times 64 images and draws of the paper', async () => {
    const { phases } = await loadSchedule('progressive');
    expect(phases.map((p) => [p.epochs, p.subnets.length, Number((32 * p.learningRate).toFixed(3))])).toEqual(
      [
        [180, 1, 2.56],
        [125, 1, 0.96],
        [25, 2, 0.08],
        [125, 2, 0.24],
        [25, 4, 0.08],
        [125, 4, 0.24],
      ],
    );
  });
});

describe('schedule files', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ofakit-schedule-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  const load = async (content: unknown) => {
    const path = join(folder, 'schedule.json');
    await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
    return loadSchedule(path);
  };

  it('survives a round trip', async () => {
    expect(await load(tinySchedule())).toEqual(tinySchedule());
  });

  const valid = { ...tinySchedule(), phases: [phase] };
  it.each([
    ['momentum', { ...valid, momentum: 1.5 }],
    ['batchSize', { ...valid, batchSize: 0 }],
    ['phases', { ...valid, phases: [] }],
    ['phases.0.epochs', { ...valid, phases: [{ ...phase, epochs: 0 }] }],
    ['phases.1.learningRate', { ...valid, phases: [phase, { ...phase, learningRate: undefined }] }],
    ['phases.0.subnets.0', { ...valid, phases: [{ ...phase, subnets: ['biggest'] }] }],
    ['phases.0.choices.ks', { ...valid, phases: [{ ...phase, choices: { ks: 0 } }] }],
    ['phases.0.distillation.teacher', { ...valid, phases: [{ ...phase, distillation: { teacher: 'me' } }] }],
  ])('names %s where it is wrong', async (key, content) => {
    const error = load(content);
    await expect(error).rejects.toThrow(UserError);
    await expect(error).rejects.toThrow(`at "${key}"`);
  });

  it('names keys that it does not know', async () => {
    await expect(load({ ...valid, learningrate: 1 })).rejects.toThrow(/"learningrate"/);
    await expect(load({ ...valid, phases: [{ ...phase, warmup: 1 }] })).rejects.toThrow(
      /phases\.0.*"warmup"/,
    );
  });

  it('refuses in-place distillation that does not train the largest first', async () => {
    const distillation = { teacher: 'in-place' };
    await expect(load({ ...valid, phases: [{ ...phase, distillation }] })).rejects.toThrow(
      'must train the largest subnet first',
    );
  });

  it('lists the presets for an unknown name, and says what is no JSON', async () => {
    await expect(loadSchedule('fast')).rejects.toThrow(/"fast".*progressive, random, sandwich/);
    await expect(load('{')).rejects.toThrow(/not JSON/);
  });
});

describe('planSchedule', () => {
  it('lays phases out one after the other', () => {
    const plans = planSchedule(withPhases({ ...phase, warmupEpochs: 2 }, { ...phase, epochs: 0.5 }), 4);
    expect(plans.map(({ start, steps, warmupSteps }) => [start, steps, warmupSteps])).toEqual([
      [0, 40, 8],
      [40, 2, 0],
    ]);
  });

  it('scales epochs and warm-up, and leaves every phase a step at full rate', () => {
    const schedule = withPhases({ ...phase, warmupEpochs: 2 }, phase);
    expect(planSchedule(schedule, 4, 0.5).map(({ steps, warmupSteps }) => [steps, warmupSteps])).toEqual([
      [20, 4],
      [20, 0],
    ]);
    expect(
      planSchedule(schedule, 4, 1e-6).map(({ start, steps, warmupSteps }) => [start, steps, warmupSteps]),
    ).toEqual([
      [0, 1, 0],
      [1, 1, 0],
    ]);
  });

  it('counts the phases that sort channels', () => {
    const sorted = { ...phase, sortChannels: true };
    expect(
      planSchedule(withPhases(phase, sorted, phase, sorted), 4).map(({ sortStage }) => sortStage),
    ).toEqual([undefined, 0, undefined, 1]);
  });
});

describe('learningRateAt', () => {
  const plan = planSchedule(withPhases({ ...phase, warmupEpochs: 2, warmupLearningRate: 0.1 }), 4)[0]!;
  const rate = (step: number, of: PhasePlan = plan, batch = 64): number => learningRateAt(of, step, batch);

  it('warms up linearly to the peak, then follows half a cosine', () => {
    expect(rate(0)).toBeCloseTo(0.1, 12);
    expect(rate(4)).toBeCloseTo(0.25, 12);
    expect(rate(8)).toBeCloseTo(0.4, 12);
    expect(rate(8 + 16)).toBeCloseTo(0.2, 12);
    expect(rate(8 + 8)).toBeCloseTo(0.2 * (1 + Math.SQRT1_2), 12);
    expect(rate(39)).toBeCloseTo(0.2 * (1 + Math.cos((Math.PI * 31) / 32)), 12);
    expect(rate(39)).toBeGreaterThan(0);
  });

  it('starts at the peak without warm-up', () => {
    expect(rate(0, planSchedule(withPhases(phase), 4)[0])).toBeCloseTo(0.4, 12);
  });

  it('scales with the batch size', () => {
    for (const step of [0, 5, 20]) expect(rate(step, plan, 16)).toBeCloseTo(rate(step) / 4, 12);
  });
});

describe('absurd schedules', () => {
  const absurd: readonly (readonly [string, string, RegExp])[] = [
    ['epochs', '1e400', /phases\.0\.epochs/],
    ['epochs', '1e300', /phases\.0\.epochs/],
    ['warmupEpochs', '1e400', /phases\.0\.warmupEpochs/],
    ['learningRate', '1e300', /phases\.0\.learningRate/],
    ['subnets', JSON.stringify(Array.from({ length: 1000 }, () => 'largest')), /at most 256 entries/],
  ];
  it.each(absurd)('%s of %s', (key, value, message) => {
    const phase = { name: 'a', epochs: 1, learningRate: 0.1, subnets: ['largest'], [key]: 'HERE' };
    const text = JSON.stringify({
      format: 'ofakit.schedule/1',
      name: 's',
      description: '',
      batchSize: 8,
      momentum: 0.9,
      weightDecay: 0,
      labelSmoothing: 0,
      phases: [phase],
    }).replace('"HERE"', value);
    const read = () => parseJson(text, scheduleSchema, 'my/schedule.json');
    expect(read).toThrow(UserError);
    expect(read).toThrow('my/schedule.json');
    expect(read).toThrow(message);
  });

  it('of more steps than can be counted', () => {
    const long = scheduleSchema.parse({ ...schedules.get('random')!, name: 'long' });
    expect(() => planSchedule(long, 1e9, 1e9)).toThrow(/schedule "long": at most 1000000000000 steps/);
  });
});
