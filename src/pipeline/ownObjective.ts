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
  /** One finite number for every architecture, in order. */
  readonly evaluate: (
    architectures: readonly Architecture[],
    space: SearchSpace,
  ) => ArrayLike<number> | Promise<ArrayLike<number>>;
}

const isFunction = (value: unknown): value is OwnObjective['evaluate'] => typeof value === 'function';

const schema = z.looseObject({
  name: z.string().regex(/^[A-Za-z]\w*$/, 'letters and digits are wanted'),
  unit: z.string().default(''),
  direction: z.enum(['minimize', 'maximize']),
  measured: z.boolean().default(false),
  evaluate: z.custom<OwnObjective['evaluate']>(isFunction, 'a function is wanted'),
});

/** Whether a word on the command line is a file and not a name. */
export const isModulePath = (word: string): boolean => /[/\\]|\.[cm]?js$/.test(word);

/**
 * Runs the module. Throws UserError where there is none, it does not load, or its `objective` is not one; what it answers is
 * checked whenever it is asked.
 */
export async function loadObjective(path: string, space: SearchSpace): Promise<Quantity> {
  if (!existsSync(path)) throw new UserError(`Cannot load the objective ${path}: there is no such file`);
  let module: Record<string, unknown>;
  try {
    module = (await import(pathToFileURL(resolve(path)).href)) as Record<string, unknown>;
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
  const { name, unit, direction, measured, evaluate } = validate(objective, schema, `the objective ${where}`);
  const checked: BatchFunction = async (archs) => {
    let values: unknown;
    try {
      values = await evaluate.call(objective, archs, space);
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

const messageOf = (cause: unknown): string =>
  (cause instanceof Error ? cause.message : String(cause)).split('\n')[0]!;
