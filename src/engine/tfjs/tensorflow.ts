/** The part of TensorFlow.js that all its packages share. Types only: which package runs is found when it is needed. */
import type * as core from '@tensorflow/tfjs-core';
import { formatShape, type Shape } from '../../util/tensor.js';

export type TensorFlow = typeof core;
export type TfTensor = core.Tensor;
export type TfImage = core.Tensor4D;
export type Shape4 = [number, number, number, number];

const hasRank4 = (x: TfTensor): x is TfImage => x.rank === 4;

/** The tensor as TensorFlow.js's types want images and filters. Throws TypeError unless it has four axes. */
export function rank4(x: TfTensor): TfImage {
  if (!hasRank4(x))
    throw new TypeError(`Cannot compute: a tensor of rank 4 is wanted: its rank is ${x.rank}`);
  return x;
}

/** The shape as TensorFlow.js's types want those of images and filters. Throws TypeError unless it has four axes. */
export function shape4(shape: Shape): Shape4 {
  const [a, b, c, d] = shape;
  if (shape.length !== 4)
    throw new TypeError(`Cannot compute: four axes are wanted: the shape is ${formatShape(shape)}`);
  return [a!, b!, c!, d!];
}
