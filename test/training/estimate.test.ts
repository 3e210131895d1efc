import { describe, expect, it } from 'vitest';
import { secondsLeftOf, type PhaseEstimate } from '../../src/training/estimate.js';
import { planSchedule } from '../../src/training/schedule.js';
import { tinySchedule } from './support/runs.js';

const phase = (name: string, epochs: number) => ({
  name,
  epochs,
  learningRate: 0.1,
  subnets: ['random'] as ['random'],
});
const plans = planSchedule(tinySchedule({ phases: [phase('a', 1), phase('b', 2), phase('c', 3)] }), 10);
const of = (stepSeconds: number | undefined): PhaseEstimate => ({
  name: '',
  steps: 0,
  stepSeconds,
  seconds: undefined,
});

describe('the time that is left of all phases', () => {
  it('is that of steps as long as those so far, where nothing was estimated', () => {
    expect(secondsLeftOf(plans, 0, 4, 2)).toBe(2 * (4 + 20 + 30));
    expect(secondsLeftOf(plans, 2, 4, 2)).toBe(8);
  });

  it('weighs later phases by what they were estimated to take', () => {
    // Estimated at 1 s and measured at 2 s: all take twice what was estimated.
    expect(secondsLeftOf(plans, 0, 4, 2, [of(1), of(3), of(0.5)])).toBe(8 + 20 * 6 + 30);
    expect(secondsLeftOf(plans, 0, 4, 2, [of(1), of(undefined), of(0.5)])).toBe(8 + 20 * 2 + 30);
    expect(secondsLeftOf(plans, 0, 4, 2, [of(0), of(3)])).toBe(8 + 40 + 60);
  });
});
