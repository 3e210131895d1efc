/** Parts that the definitions of families share, within bounds: what a file asks for is built, counted and allocated. */
import { z } from 'zod';
import { boundedList } from '../../util/bounded.js';

export const activation = z.enum(['relu', 'relu6', 'h_swish']);

/** Choices of one dimension. */
const MOST_CHOICES = 64;
const MOST_STAGES = 32;
/** Of one stage. */
const MOST_BLOCKS = 256;
/** Of the largest network, all stages together. */
const MOST_POSITIONS = 512;
const MOST_CHANNELS = 65_536;
const LARGEST_KERNEL = 63;
const LARGEST_STRIDE = 4;
/** Of an expand ratio or a width. */
const LARGEST_RATIO = 64;

const ascends = (list: readonly number[]): boolean => list.every((v, i) => i === 0 || v > list[i - 1]!);

const ascending = <T extends z.ZodType<number>>(entry: T) =>
  z.array(entry).nonempty().refine(ascends, 'choices must ascend');

export const channels = z.number().int().positive().max(MOST_CHANNELS);

export const ratio = z.number().positive().max(LARGEST_RATIO);

export const choices = boundedList(ascending(ratio), MOST_CHOICES);

export const depths = boundedList(
  ascending(z.number().positive().max(MOST_BLOCKS)).refine(
    (list) => list.every((d) => Number.isInteger(d)),
    'depths must be whole numbers',
  ),
  MOST_CHOICES,
);

/** Depths that are added to some that are always there. */
export const addedDepths = boundedList(
  ascending(z.number().int().nonnegative().max(MOST_BLOCKS)),
  MOST_CHOICES,
);

export const kernels = boundedList(
  ascending(z.number().positive().max(LARGEST_KERNEL)).refine(
    (list) => list.every((k) => k % 2 === 1),
    'kernel sizes must be odd',
  ),
  MOST_CHOICES,
);

export const kernel = z
  .number()
  .int()
  .positive()
  .max(LARGEST_KERNEL)
  .refine((k) => k % 2 === 1, 'a kernel size must be odd');

/** Of a layer that is there once. */
export const stride = z.number().int().min(1).max(LARGEST_STRIDE);

/** Of the first block of a stage. */
export const stageStride = z.number().int().min(1).max(2);

/** Blocks that are always there. */
export const fixedBlocks = z.number().int().positive().max(MOST_BLOCKS);

/** `blocks`: of a stage at its greatest depth. */
export const stagesOf = <T extends z.ZodType>(stage: T, blocks: (stage: z.infer<T>) => number) =>
  boundedList(
    z
      .array(stage)
      .nonempty()
      .refine(
        (list) => list.reduce((sum, own) => sum + blocks(own), 0) <= MOST_POSITIONS,
        `all stages together must have at most ${MOST_POSITIONS} blocks`,
      ),
    MOST_STAGES,
  );
