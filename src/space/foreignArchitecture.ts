/** Architectures in the forms that other tools write, read as the one form of architecture files where that is unambiguous. */
import { UserError } from '../util/errors.js';
import type { Architecture } from './architecture.js';
import { isActive, type Gene } from './gene.js';

/** Names of the image size: the reference's encoder, its tutorial, DyNAS-T, ofakit's own library and others. */
export const SIZE_KEYS = ['image_size', 'r', 'resolution', 'imageSize', 'img_size'] as const;

const LISTS = ['d', 'ks', 'e', 'w'] as const;

/** The object with all forms resolved, to be validated. Throws UserError naming the keys that contradict each other. */
export function resolveForms(
  content: Readonly<Record<string, unknown>>,
  genes: readonly Gene[],
  where: string,
): Record<string, unknown> {
  const others = Object.entries(content).filter(([key]) => !SIZE_KEYS.some((size) => size === key));
  const result: Record<string, unknown> = Object.fromEntries(others);
  const imageSize = imageSizeOf(content, where) ?? onlySize(genes);
  if (imageSize !== undefined) result['image_size'] = imageSize;
  for (const list of LISTS) {
    const own = genes.filter((gene) => gene.list === list);
    result[list] = spread(list, result[list], own);
  }
  completeDepths(result, genes);
  for (const list of ['ks', 'e'] as const) placeActive(result, list, genes);
  return result;
}

/** What all names of the size agree on; undefined where none is there. */
function imageSizeOf(content: Readonly<Record<string, unknown>>, where: string): unknown {
  const given = SIZE_KEYS.filter((key) => content[key] !== undefined && content[key] !== null);
  const sizes = given.map((key) => [key, oneSize(content[key], key, where)] as const);
  const [first, ...others] = sizes;
  const other = others.find(([, size]) => size !== first![1]);
  if (other !== undefined) {
    throw new UserError(
      `Cannot use ${where}: "${first![0]}" and "${other[0]}" must be the same image size: they are ${shown(first![1])} and ${shown(other[1])}`,
    );
  }
  return first?.[1];
}

/** A list of one size, or of height and width that are equal, means that size. */
function oneSize(value: unknown, key: string, where: string): unknown {
  if (!Array.isArray(value)) return value;
  const list: readonly unknown[] = value;
  if ((list.length !== 1 && list.length !== 2) || list.some((size) => size !== list[0])) {
    throw new UserError(
      `Cannot use ${where} at "${key}": one image size is wanted (the same as height and width): it is ${shown(value)}`,
    );
  }
  return list[0];
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}

/** A space of one image size needs no word about it. */
function onlySize(genes: readonly Gene[]): number | undefined {
  const choices = genes.find(({ list }) => list === 'imageSize')?.choices ?? [];
  return choices.length === 1 ? choices[0] : undefined;
}

/** A number is that value everywhere, but where there is no choice; null is what the reference writes for what a family lacks. */
function spread(list: (typeof LISTS)[number], value: unknown, own: readonly Gene[]): unknown {
  if (typeof value === 'number') return own.map(({ choices }) => (choices.length === 1 ? choices[0] : value));
  if (value === null && own.length === 0) return list === 'w' ? undefined : [];
  return value;
}

/**
 * Depths as the reference reads them. Its ProxylessNAS space is written with five depths or six: stages at the end that have
 * one depth may be left out. A stem's `d[0]` is on or off: what is less than the greatest value is off
 * (`EN/networks/ofa_resnets.py`, `input_stem_skipping = d[0] != max(depth_list)`), so 1 is 0 where the choices are 0 and 2.
 */
function completeDepths(result: Record<string, unknown>, genes: readonly Gene[]): void {
  if (!Array.isArray(result['d'])) return;
  const own = genes.filter(({ list }) => list === 'd');
  const given: readonly unknown[] = result['d'];
  if (given.length > own.length) return;
  const depths = [...given];
  const missing = own.slice(depths.length);
  if (depths.length > 0 && missing.every(({ choices }) => choices.length === 1))
    for (const { choices } of missing) depths.push(choices[0]!);
  const [stem] = own;
  const [first] = depths;
  if (stem?.group === 'stem' && stem.choices.length === 2 && Number.isInteger(first)) {
    const [off, on] = stem.choices as readonly [number, number];
    if ((first as number) > off && (first as number) < on) depths[0] = off;
  }
  result['d'] = depths;
}

/**
 * A list with one value for every block that the depths leave, in order (NSGANetV2 writes it so), is put to the blocks'
 * positions; positions that are off get 0.
 */
function placeActive(result: Record<string, unknown>, list: 'ks' | 'e', genes: readonly Gene[]): void {
  const values = result[list];
  const { d } = result;
  if (!Array.isArray(values) || !isNumbers(d)) return;
  const own = genes.filter((gene) => gene.list === list);
  if (values.length === own.length || d.length !== genes.filter((gene) => gene.list === 'd').length) return;
  const arch: Architecture = { imageSize: 0, ks: [], e: [], d };
  const active = own.filter((gene) => isActive(arch, gene));
  if (active.length !== values.length) return;
  const placed = new Array<unknown>(own.length).fill(0);
  active.forEach(({ index }, i) => (placed[index] = (values as unknown[])[i]));
  result[list] = placed;
}

const isNumbers = (value: unknown): value is readonly number[] =>
  Array.isArray(value) && value.every((entry) => typeof entry === 'number');
