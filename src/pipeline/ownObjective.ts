/** Objectives of one's own: a JavaScript module that exports `objective`. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { additiveFunction } from '../search/additive.js';
import type { BatchFunction } from '../search/batch.js';
import type { Quantity } from '../search/quantity.js';
import type { Architecture } from '../space/architecture.js';
import type { SearchSpace } from '../space/space.js';
import { answerInTime, type NoAnswer } from '../util/answerInTime.js';
import { UserError } from '../util/errors.js';
import { validate } from '../util/files.js';

/** What the module exports as `objective`. */
export interface OwnObjective {
  /** Letters and digits, with the unit where it has one: `energyMj`. */
  readonly name: string;
  /** For messages and pictures: `mJ`. Default none. */
  readonly unit?: string;
  /** Which way is better. */
  readonly direction: 'minimize' | 'maximize';
  /** It takes so long that few networks can be asked about, one after the other. Default: it is computed. */
  readonly measured?: boolean;
  /** How long one call of `evaluate` may take. Default 60; 3600 for what is measured, one network a call. */
  readonly timeLimitSeconds?: number;
  /** One finite number for every architecture, in order. */
  readonly evaluate: (
    architectures: readonly Architecture[],
    space: SearchSpace,
  ) => ArrayLike<number> | Promise<ArrayLike<number>>;
}

const COMPUTED_SECONDS = 60;
const MEASURED_SECONDS = 3600;

const isFunction = (value: unknown): value is OwnObjective['evaluate'] => typeof value === 'function';

const schema = z.looseObject({
  name: z.string().regex(/^[A-Za-z]\w*$/, 'letters and digits are wanted'),
  unit: z.string().default(''),
  direction: z.enum(['minimize', 'maximize']),
  measured: z.boolean().default(false),
  // Timers of Node.js reach 24 days.
  timeLimitSeconds: z.number().positive().max(2e6).optional(),
  evaluate: z.custom<OwnObjective['evaluate']>(isFunction, 'a function is wanted'),
});

/** Whether a word on the command line is a file and not a name. */
export const isModulePath = (word: string): boolean => /[/\\]|\.[cm]?js$/.test(word);

/**
 * Runs the module. Throws UserError where there is none, it does not load (or not within a minute), or its `objective` is not one;
 * what it answers is checked whenever it is asked, and that it does in time.
 */
export async function loadObjective(path: string, space: SearchSpace): Promise<Quantity> {
  if (!existsSync(path)) throw new UserError(`Cannot load the objective ${path}: there is no such file`);
  let module: Record<string, unknown>;
  try {
    const loaded = await answerInTime(
      () => import(pathToFileURL(resolve(path)).href) as Promise<Record<string, unknown>>,
      1000 * COMPUTED_SECONDS,
    );
    if ('missing' in loaded) {
      throw new UserError(
        loaded.missing === 'idle'
          ? 'it waits at its top level for what never comes'
          : `it is not done after ${COMPUTED_SECONDS} s`,
      );
    }
    module = loaded.answer;
  } catch (cause) {
    throw new UserError(`Cannot load the objective ${path}: ${messageOf(cause)}`, { cause });
  }
  if (module['objective'] === undefined) {
    throw new UserError(
      `Cannot load the objective ${path}: it must export "objective": it exports ${Object.keys(module).join(', ') || 'nothing'}`,
    );
  }
  return objectiveQuantity(module['objective'], space, path);
}

/** `where`: names its origin in messages. Throws UserError for what is no `OwnObjective`. */
export function objectiveQuantity(objective: unknown, space: SearchSpace, where: string): Quantity {
  const { name, unit, direction, measured, evaluate, timeLimitSeconds } = validate(
    objective,
    schema,
    `the objective ${where}`,
  );
  const seconds = timeLimitSeconds ?? (measured ? MEASURED_SECONDS : COMPUTED_SECONDS);
  const checked: BatchFunction = async (archs) => {
    let values: unknown;
    try {
      const told = await answerInTime<unknown>(() => evaluate.call(objective, archs, space), 1000 * seconds);
      if ('missing' in told) throw new UserError(whyMissing(told.missing, seconds, archs.length));
      values = told.answer;
    } catch (cause) {
      throw new UserError(`Cannot evaluate ${name} of ${where}: ${messageOf(cause)}`, { cause });
    }
    if (Array.isArray(values) || (ArrayBuffer.isView(values) && !(values instanceof DataView)))
      return values as ArrayLike<number>;
    throw new UserError(
      `Cannot evaluate ${name} of ${where}: a list of numbers, one an architecture, is wanted: it gave ${values === null ? 'null' : typeof values}`,
    );
  };
  const quantity = { name, unit, direction, evaluate: checked };
  return measured
    ? { ...quantity, chunk: 1 }
    : { ...quantity, cheap: true, forGenome: (genome) => additiveFunction(genome, checked) };
}

const whyMissing = (missing: NoAnswer, seconds: number, count: number): string =>
  missing === 'idle'
    ? 'it never answers: its promise is pending, and nothing is running any more that could settle it'
    : `it has not answered after ${seconds} s, asked about ${count === 1 ? 'one architecture' : `${count} architectures`}; where it takes so long, export "timeLimitSeconds"${count === 1 ? '' : ' (and "measured", which asks about one after the other)'} with it`;

const messageOf = (cause: unknown): string =>
  (cause instanceof Error ? cause.message : String(cause)).split('\n')[0]!;
