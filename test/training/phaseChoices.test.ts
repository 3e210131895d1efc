/** When random subnets are trained by one program of choices. */
import { describe, expect, it } from 'vitest';
import { phaseChoices } from '../../src/training/phaseChoices.js';
import {
  planSchedule,
  scheduleSchema,
  type PhasePlan,
  type ScheduleFile,
} from '../../src/training/schedule.js';
import { tinySpace } from './support/runs.js';

const space = tinySpace();
const sizes = space.parameters.imageSizes.length;

function plan(steps: number, phase: Partial<ScheduleFile['phases'][0]> = {}): PhasePlan {
  const schedule = scheduleSchema.parse({
    format: 'ofakit.schedule/1',
    name: 'test',
    description: 'One phase',
    batchSize: 4,
    momentum: 0.9,
    weightDecay: 0,
    labelSmoothing: 0,
    phases: [{ name: 'only', epochs: 1, learningRate: 0.1, subnets: ['random'], ...phase }],
  });
  return planSchedule(schedule, steps)[0]!;
}
const ROOM = 1e12;
const size = space.parameters.imageSizes[0]!;

describe('phaseChoices', () => {
  const all = phaseChoices(space, plan(1e6), 4, ROOM)(size)!;

  it('holds the blocks of every subnet that the phase draws from', () => {
    for (const arch of [space.largest, space.smallest]) {
      const network = space.network({ ...arch, imageSize: size });
      expect(() => all.find(network)).not.toThrow();
    }
    const narrow = phaseChoices(space, plan(1e6, { choices: { ks: 1, e: 1, d: 1 } }), 4, ROOM)(size)!;
    expect(narrow.size).toBeLessThan(all.size);
    expect(() => narrow.find(space.network({ ...space.smallest, imageSize: size }))).toThrow(RangeError);
  });

  it('wants four steps of a subnet a block, at every image size', () => {
    const enough = 4 * all.size * sizes;
    expect(phaseChoices(space, plan(enough), 4, ROOM)(size)?.key).toBe(all.key);
    expect(phaseChoices(space, plan(enough - 1), 4, ROOM)(size)).toBeUndefined();
    const twice = plan(Math.ceil(enough / 2), { subnets: ['random', 'largest', 'random'] });
    expect(phaseChoices(space, twice, 4, ROOM)(size)?.key).toBe(all.key);
  });

  it('wants room for the programs of all image sizes', () => {
    const needed = 2 * 4e6 * all.size * sizes;
    expect(phaseChoices(space, plan(1e6), 4, needed)(size)?.key).toBe(all.key);
    expect(phaseChoices(space, plan(1e6), 4, needed - 1)(size)).toBeUndefined();
  });

  it('keeps the memory of steps where there is room for that, too', () => {
    const programs = 2 * 4e6 * all.size * sizes;
    expect(phaseChoices(space, plan(1e6), 4, programs)(size)!.stepBytes).toBe(0);
    const { stepBytes } = phaseChoices(space, plan(1e6), 4, ROOM)(size)!;
    const largest = space.network({ ...space.largest, imageSize: size });
    // Images alone, and what a step gives back.
    expect(stepBytes).toBeGreaterThan(4 * (4 * size * size + largest.blocks.length));
    expect(phaseChoices(space, plan(1e6), 8, ROOM)(size)!.stepBytes).toBeGreaterThan(stepBytes);
  });

  it('has none for a phase without random subnets', () => {
    expect(
      phaseChoices(space, plan(1e6, { subnets: ['largest', 'smallest'] }), 4, ROOM)(size),
    ).toBeUndefined();
  });
});
