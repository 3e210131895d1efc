/** Width and classes of a supernet, by the shapes of its tensors. */
import { createSpace, type SearchSpace, type SpaceOverrides } from '../../space/space.js';
import { UserError } from '../../util/errors.js';
import { sameShape } from '../../util/tensor.js';
import { foreignTensors, match, plainName } from './importWeights.js';
import type { StateDict } from './stateDict.js';

/** What may be changed to fit a file: what the user did not say. */
export interface Free {
  readonly width: boolean;
  readonly classes: boolean;
}

/** Digits behind the point of a width, few first: several widths may round to the same channels. */
const MOST_DECIMALS = 3;
/** Ratios of channels that are tried. */
const MOST_ESTIMATES = 20;

/** The space with the width and the classes that fit the tensors; as it is where none do. */
export function inferSpace(space: SearchSpace, found: StateDict, free: Free): SearchSpace {
  const classes = free.classes ? classesOf(space, found) : undefined;
  const fixed: SpaceOverrides = classes === undefined ? {} : { classes };
  const withClasses = variant(space, fixed) ?? space;
  if (!free.width || misfits(withClasses, found) === 0) return withClasses;
  for (const width of widthsOf(withClasses, found)) {
    const candidate = variant(space, { ...fixed, width });
    if (candidate !== undefined && misfits(candidate, found) === 0) return candidate;
  }
  return withClasses;
}

/** Undefined where the bounds of spaces do not allow it. */
function variant(space: SearchSpace, overrides: SpaceOverrides): SearchSpace | undefined {
  try {
    return createSpace(space.file, overrides);
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

function classesOf(space: SearchSpace, found: StateDict): number | undefined {
  const own = foreignTensors(space).find(({ name }) => /^classifier\..*bias$/.test(name));
  if (own === undefined) return undefined;
  const wanted = plainName(own.foreignName);
  for (const [name, { shape }] of found)
    if (plainName(name) === wanted && shape.length === 1) return shape[0];
  return undefined;
}

/** Tensors that are there under their names, and have another shape. */
function misfits(space: SearchSpace, found: StateDict): number {
  const { pairs } = match(foreignTensors(space), found);
  return pairs.filter(([{ foreignShape }, , { shape }]) => !sameShape(shape, foreignShape)).length;
}

/**
 * Widths that layers suggest by their channels there and here, round ones first. Channels are rounded to multiples of 8, and those
 * within blocks follow from rounded ones, so layers disagree.
 */
function widthsOf(space: SearchSpace, found: StateDict): number[] {
  const { pairs } = match(foreignTensors(space), found);
  const ratios = new Set<number>();
  for (const [{ name, foreignShape }, , { shape }] of pairs) {
    const [own, other] = [foreignShape[0] ?? 0, shape[0] ?? 0];
    if (name.startsWith('classifier.linear.') || own === other || own === 0 || other === 0) continue;
    ratios.add((other / own) * space.parameters.width);
  }
  const estimates = [...ratios].slice(0, MOST_ESTIMATES);
  const rounded = Array.from({ length: MOST_DECIMALS }, (_, i) => i + 1).flatMap((decimals) =>
    estimates.flatMap((ratio) =>
      [0, -1, 1].map((steps) => Number((ratio + steps * 10 ** -decimals).toFixed(decimals))),
    ),
  );
  return [...new Set([...rounded, ...estimates])].filter((width) => width > 0);
}
