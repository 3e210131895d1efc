/** Architectures: which subnet of a search space. The file form is the one the reference's own tools use. */
import { z } from 'zod';
import { boundedList } from '../util/bounded.js';

/**
 * One subnet. `ks` and `e` hold one value per block position of the full-depth network, also for positions that `d`
 * switches off (those values are ignored); `d` one depth per stage; `w` one index into the width choices per stage, in
 * spaces that have elastic width.
 */
export interface Architecture {
  readonly imageSize: number;
  readonly ks: readonly number[];
  readonly e: readonly number[];
  readonly d: readonly number[];
  readonly w?: readonly number[];
}

/** No space has as many positions. */
const MOST_VALUES = 4096;
const values = <T extends z.ZodType<number>>(value: T) => boundedList(z.array(value), MOST_VALUES);

/**
 * `{"image_size":160,"ks":[...],"e":[...],"d":[...]}`; `wid` and other keys of the reference's files are let pass, and so
 * are the zeros that its `feature2arch` writes for blocks beyond a stage's depth (`arch_encoder.py`).
 */
export const architectureFileSchema = z.looseObject({
  image_size: z.number().int().positive(),
  ks: values(z.number().int().nonnegative()).default([]),
  e: values(z.number().nonnegative()),
  d: values(z.number().int().nonnegative()),
  w: values(z.number().int().nonnegative()).optional(),
});
export type ArchitectureFile = z.infer<typeof architectureFileSchema>;

export function fromFile(file: ArchitectureFile): Architecture {
  return { imageSize: file.image_size, ks: file.ks, e: file.e, d: file.d, ...(file.w ? { w: file.w } : {}) };
}

export function toFile(arch: Architecture): ArchitectureFile {
  return {
    image_size: arch.imageSize,
    ks: [...arch.ks],
    e: [...arch.e],
    d: [...arch.d],
    ...(arch.w ? { w: [...arch.w] } : {}),
  };
}
