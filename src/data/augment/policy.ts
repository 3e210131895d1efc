/**
 * Augmentation as data: a list of steps, each a file of this folder. To add one: a schema and a function in a new
 * file, and a line in each of the two tables below (the compiler asks for the second).
 */
import { z } from 'zod';
import type { Random } from '../../util/random.js';
import { colour, colourSchema } from './colour.js';
import { cutout, cutoutSchema } from './cutout.js';
import { centreCrop, plainResize } from './evaluation.js';
import { flip, flipSchema } from './flip.js';
import type { Image } from './image.js';
import { padCrop, padCropSchema } from './padCrop.js';
import { resizedCrop, resizedCropSchema } from './resizedCrop.js';

export const stepSchema = z.discriminatedUnion('step', [
  padCropSchema,
  flipSchema,
  resizedCropSchema,
  colourSchema,
  cutoutSchema,
]);
export type AugmentationStep = z.infer<typeof stepSchema>;

export const augmentationPolicySchema = z.strictObject({
  /** Steps of training images, in order; what has not the wanted size after them is resized. */
  train: z.array(stepSchema),
  /** `resize`: the whole image; `centreCrop`: resize to 1/0.875 of the size and cut the centre (photos). */
  evaluation: z.enum(['resize', 'centreCrop']),
});
/** JSON, e.g. `{"train":[{"step":"padCrop","padding":4},{"step":"flip","probability":0.5}],"evaluation":"resize"}`. */
export type AugmentationPolicy = z.infer<typeof augmentationPolicySchema>;

export interface AugmentationContext {
  readonly random: Random;
  /** Side of the square that the network sees. */
  readonly imageSize: number;
  /** Colour of holes, one value in 0..255 a channel. */
  readonly fill: readonly number[];
}

type Appliers = {
  readonly [K in AugmentationStep['step']]: (
    image: Image,
    step: Extract<AugmentationStep, { step: K }>,
    context: AugmentationContext,
  ) => Image;
};

const appliers: Appliers = {
  padCrop: (image, step, { random }) => padCrop(image, step, random),
  flip: (image, step, { random }) => flip(image, step, random),
  resizedCrop: (image, step, { random, imageSize }) => resizedCrop(image, step, random, imageSize),
  colour: (image, step, { random }) => colour(image, step, random),
  cutout: (image, step, { random, fill }) => cutout(image, step, random, fill),
};

function applyStep(image: Image, step: AugmentationStep, context: AugmentationContext): Image {
  // The table pairs every name with its own options, which an index by a union cannot express.
  const apply = appliers[step.step] as (
    image: Image,
    step: AugmentationStep,
    context: AugmentationContext,
  ) => Image;
  return apply(image, step, context);
}

/** A training image: [C, imageSize, imageSize], values 0..255. The same generator state gives the same image. */
export function augment(image: Image, policy: AugmentationPolicy, context: AugmentationContext): Image {
  let result = image;
  for (const step of policy.train) result = applyStep(result, step, context);
  return plainResize(result, context.imageSize);
}

/** An evaluation or test image: [C, imageSize, imageSize], values 0..255. */
export function prepareForEvaluation(image: Image, policy: AugmentationPolicy, imageSize: number): Image {
  return policy.evaluation === 'centreCrop' ? centreCrop(image, imageSize) : plainResize(image, imageSize);
}

/** Policies that data sets start from; also names for the command line. */
export const policies = {
  none: { train: [], evaluation: 'resize' },
  /** Digits must not be mirrored. */
  digits: { train: [{ step: 'padCrop', padding: 2 }], evaluation: 'resize' },
  fashion: {
    train: [
      { step: 'padCrop', padding: 2 },
      { step: 'flip', probability: 0.5 },
    ],
    evaluation: 'resize',
  },
  /** CIFAR-10's usual one (He et al. 2015, section 4.2). */
  small: {
    train: [
      { step: 'padCrop', padding: 4 },
      { step: 'flip', probability: 0.5 },
    ],
    evaluation: 'resize',
  },
  /** What the reference trains ImageNet with. */
  photo: {
    train: [
      { step: 'resizedCrop', scale: [0.08, 1], ratio: [3 / 4, 4 / 3] },
      { step: 'flip', probability: 0.5 },
      { step: 'colour', brightness: 32 / 255, saturation: 0.5 },
    ],
    evaluation: 'centreCrop',
  },
} as const satisfies Record<string, z.input<typeof augmentationPolicySchema>>;

/** A policy by name. Its steps are copied: callers may edit theirs. */
export function policyNamed(name: keyof typeof policies): AugmentationPolicy {
  return augmentationPolicySchema.parse(policies[name]);
}
