/** Parts that the definitions of families share. */
import { z } from 'zod';

export const activation = z.enum(['relu', 'relu6', 'h_swish']);

const ascends = (list: readonly number[]): boolean => list.every((v, i) => i === 0 || v > list[i - 1]!);

export const choices = z.array(z.number().positive()).nonempty().refine(ascends, 'choices must ascend');

export const depths = choices.refine(
  (list) => list.every((d) => Number.isInteger(d)),
  'depths must be whole numbers',
);

/** Depths that are added to some that are always there. */
export const addedDepths = z
  .array(z.number().int().nonnegative())
  .nonempty()
  .refine(ascends, 'choices must ascend');

export const kernels = choices.refine((list) => list.every((k) => k % 2 === 1), 'kernel sizes must be odd');

export const kernel = z
  .number()
  .int()
  .positive()
  .refine((k) => k % 2 === 1, 'a kernel size must be odd');
