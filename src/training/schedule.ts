/**
 * Training schedules as data: which subnets a step trains, out of which part of the space, taught by whom, for how long.
 * Progressive shrinking, the sandwich rule and random sampling are three such files over one trainer. Documented in
 * docs/formats.md.
 */
import { existsSync } from 'node:fs';
import { z } from 'zod';
import type { GeneLimits } from '../space/limits.js';
import { boundedList } from '../util/bounded.js';
import { unknownName, UserError } from '../util/errors.js';
import { readJson } from '../util/files.js';
import { schedules } from './schedules/index.js';

/** Trainings have hundreds. */
const MOST_EPOCHS = 1e6;
/** No training survives a rate near it; training itself says which do not, and what to do. */
const LARGEST_RATE = 1e50;
/** Of weights of losses. */
const LARGEST_FACTOR = 1e6;
/** Above it a count of steps is no whole number any more. */
const MOST_STEPS = 1e12;

const fraction = z.number().min(0).max(1);
/** All of a dimension's choices, or its n largest. */
const choices = z.union([z.literal('all'), z.number().int().positive()]);

export const phaseSchema = z.strictObject({
  name: z.string().min(1),
  epochs: z.number().positive().max(MOST_EPOCHS),
  warmupEpochs: z.number().nonnegative().max(MOST_EPOCHS).default(0),
  /** Peak, for a batch of 64 images; scaled linearly with the batch size. Falls to 0 along a cosine. */
  learningRate: z.number().positive().max(LARGEST_RATE),
  /** Where the linear warm-up starts; for a batch of 64. */
  warmupLearningRate: z.number().nonnegative().max(LARGEST_RATE).default(0),
  /** The subnets of one step, in order; their gradients are summed. */
  subnets: boundedList(z.array(z.enum(['largest', 'smallest', 'random'])).nonempty(), 256),
  /** What `random` and `smallest` choose from; dimensions that are not named have all their choices. */
  choices: z.partialRecord(z.enum(['imageSize', 'ks', 'e', 'd', 'w']), choices).default({}),
  /**
   * Soft labels: from the largest network as it was when the first phase with `teacher: "largest"` began, from the
   * largest network of the same step (`in-place`, which must come first in `subnets` and learns from labels alone), or
   * none. The loss is labelWeight * CE(labels) + weight * CE(teacher).
   */
  distillation: z
    .strictObject({
      teacher: z.enum(['none', 'largest', 'in-place']),
      weight: z.number().nonnegative().max(LARGEST_FACTOR).default(1),
      labelWeight: z.number().nonnegative().max(LARGEST_FACTOR).default(1),
    })
    .prefault({ teacher: 'none' }),
  /** Sorts hidden channels by importance before the first step (OFA, section 3.3); the n-th phase that does so is stage n. */
  sortChannels: z.boolean().default(false),
});
export type Phase = z.infer<typeof phaseSchema>;

export const scheduleSchema = z
  .strictObject({
    format: z.literal('ofakit.schedule/1'),
    name: z.string().min(1),
    description: z.string(),
    batchSize: z.number().int().positive().max(65_536),
    momentum: fraction,
    weightDecay: z.number().nonnegative().max(LARGEST_FACTOR),
    labelSmoothing: fraction,
    phases: boundedList(z.array(phaseSchema).nonempty(), 256),
  })
  .refine(
    ({ phases }) => phases.every((p) => p.distillation.teacher !== 'in-place' || p.subnets[0] === 'largest'),
    'a phase with in-place distillation must train the largest subnet first',
  );
export type Schedule = z.infer<typeof scheduleSchema>;
/** As written in a file, before defaults. */
export type ScheduleFile = z.input<typeof scheduleSchema>;

/** A named preset, or a JSON file. Throws UserError listing the presets, or naming the key that is wrong. */
export async function loadSchedule(nameOrPath: string): Promise<Schedule> {
  const preset = schedules.get(nameOrPath);
  if (preset !== undefined) return scheduleSchema.parse(preset);
  if (!existsSync(nameOrPath)) throw unknownName('schedule', nameOrPath, [...schedules.keys()]);
  return readJson(nameOrPath, scheduleSchema);
}

/** The part of the space that a phase draws from. */
export function phaseLimits(phase: Phase): GeneLimits {
  const limits: Record<string, { largest: number }> = {};
  for (const [list, choice] of Object.entries(phase.choices)) {
    if (typeof choice === 'number') limits[list] = { largest: choice };
  }
  return limits;
}

/** One phase laid out in steps. */
export interface PhasePlan {
  readonly phase: Phase;
  /** First step of the phase, counted over the whole run. */
  readonly start: number;
  readonly steps: number;
  readonly warmupSteps: number;
  /** `expand_ratio_stage` of the channel sorting, or undefined. */
  readonly sortStage: number | undefined;
}

/**
 * Lays phases out one after the other; `epochsScale` stretches all of them, each has at least one step. Throws UserError for
 * more steps than can be counted.
 */
export function planSchedule(
  { name, phases }: Schedule,
  stepsPerEpoch: number,
  epochsScale = 1,
): PhasePlan[] {
  let start = 0;
  let sorted = 0;
  return phases.map((phase) => {
    const steps = Math.max(1, Math.round(phase.epochs * epochsScale * stepsPerEpoch));
    const warmupSteps = Math.min(steps - 1, Math.round(phase.warmupEpochs * epochsScale * stepsPerEpoch));
    const plan = { phase, start, steps, warmupSteps, sortStage: phase.sortChannels ? sorted++ : undefined };
    start += steps;
    if (!(start <= MOST_STEPS))
      throw new UserError(
        `Cannot plan schedule "${name}": at most ${MOST_STEPS} steps are wanted: by the end of phase "${phase.name}" there are ${start}`,
      );
    return plan;
  });
}

/**
 * Learning rate of step `step` of a phase: linear from the warm-up rate, then half a cosine
 * (`IC/run_manager/run_config.py:76-83`, `ofa/utils/pytorch_utils.py:226-237`). Scaled to the batch size.
 */
export function learningRateAt(
  { phase, steps, warmupSteps }: PhasePlan,
  step: number,
  batchSize: number,
): number {
  const scale = batchSize / 64;
  if (step < warmupSteps) {
    const { warmupLearningRate, learningRate } = phase;
    return scale * (warmupLearningRate + ((learningRate - warmupLearningRate) * step) / warmupSteps);
  }
  const progress = (step - warmupSteps) / (steps - warmupSteps);
  return scale * 0.5 * phase.learningRate * (1 + Math.cos(Math.PI * progress));
}
