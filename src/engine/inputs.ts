/** What programs are given. */
import { formatShape, sameShape, type Shape, type Tensor } from '../util/tensor.js';
import type { Tensors } from './engine.js';

/** The input of that name. Throws TypeError where it is missing or of another shape. */
export function inputOf(inputs: Tensors, name: string, shape: Shape): Tensor {
  const given = inputs[name];
  if (given !== undefined && sameShape(given.shape, shape)) return given;
  const current = given === undefined ? 'it is missing' : `its shape is ${formatShape(given.shape)}`;
  throw new TypeError(
    `Cannot run the program: input "${name}" of shape ${formatShape(shape)} is wanted: ${current}`,
  );
}
