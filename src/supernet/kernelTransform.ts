/** Elastic kernels as plain arithmetic: the oracle of the graph form, and what export writes. */
import { formatShape, sizeOf, tensor, type Tensor } from '../util/tensor.js';

/**
 * The active kernel of an elastic convolution (OFA, section 3.2; `EN/modules/dynamic_op.py:75-102`): at every step of
 * `chain` (sizes from the stored one down, e.g. [7, 5, 3]) the centre crop of the kernel so far, flattened to v (row by
 * row), becomes v * M^T. So the 3x3 comes out of the *transformed* 5x5. Float64 inside, rounded to float32 once.
 *
 * @param weight [out, in / groups, k, k] with k = chain[0]
 * @param matrices one a step, [m * m, m * m] for the smaller size m, shared by all channels; undefined: plain centre crops
 * @returns [out, in / groups, m, m] with m the last of `chain`; `weight` itself where `chain` has one size
 *
 * Throws RangeError where shapes do not fit.
 */
export function activeKernel(
  weight: Tensor,
  chain: readonly number[],
  matrices: readonly Tensor[] | undefined,
): Tensor {
  checkShapes(weight, chain, matrices);
  if (chain.length === 1) return weight;
  const [outChannels, inChannels] = weight.shape as [number, number, number, number];
  const kernels = outChannels * inChannels;
  let current = Float64Array.from(weight.data);
  for (let step = 1; step < chain.length; step++) {
    const cropped = centreCrop(current, kernels, chain[step - 1]!, chain[step]!);
    const matrix = matrices?.[step - 1];
    current = matrix === undefined ? cropped : timesTransposed(cropped, kernels, matrix);
  }
  const size = chain[chain.length - 1]!;
  return tensor([outChannels, inChannels, size, size], Float32Array.from(current));
}

function checkShapes(
  weight: Tensor,
  chain: readonly number[],
  matrices: readonly Tensor[] | undefined,
): void {
  const stored = chain[0];
  if (weight.shape.length !== 4 || weight.shape[2] !== stored || weight.shape[3] !== stored) {
    throw new RangeError(
      `Cannot take the active kernel: the weight must be [out, in, ${stored}, ${stored}]: it is ${formatShape(weight.shape)}`,
    );
  }
  chain.forEach((size, i) => {
    if (i > 0 && !(size < chain[i - 1]! && (chain[i - 1]! - size) % 2 === 0)) {
      throw new RangeError(
        `Cannot take the active kernel: sizes must descend by even steps: they are ${chain.join(', ')}`,
      );
    }
  });
  if (matrices === undefined) return;
  if (matrices.length !== chain.length - 1) {
    throw new RangeError(
      `Cannot take the active kernel: ${chain.length - 1} matrices are needed: there are ${matrices.length}`,
    );
  }
  matrices.forEach(({ shape }, i) => {
    const area = chain[i + 1]! ** 2;
    if (shape.length !== 2 || shape[0] !== area || shape[1] !== area) {
      throw new RangeError(
        `Cannot take the active kernel: the matrix from ${chain[i]!} to ${chain[i + 1]!} must be ${formatShape([area, area])}: it is ${formatShape(shape)}`,
      );
    }
  });
}

function centreCrop(
  data: Float64Array,
  kernels: number,
  from: number,
  to: number,
): Float64Array<ArrayBuffer> {
  const start = (from - to) / 2;
  const result = new Float64Array(sizeOf([kernels, to, to]));
  let i = 0;
  for (let c = 0; c < kernels; c++) {
    for (let y = 0; y < to; y++) {
      const row = (c * from + start + y) * from + start;
      for (let x = 0; x < to; x++) result[i++] = data[row + x]!;
    }
  }
  return result;
}

/** Rows v of `data` [kernels, area] to v * M^T. */
function timesTransposed(
  data: Float64Array,
  kernels: number,
  { data: matrix, shape }: Tensor,
): Float64Array<ArrayBuffer> {
  const area = shape[0]!;
  const result = new Float64Array(kernels * area);
  for (let c = 0; c < kernels; c++) {
    for (let row = 0; row < area; row++) {
      let sum = 0;
      for (let i = 0; i < area; i++) sum += data[c * area + i]! * matrix[row * area + i]!;
      result[c * area + row] = sum;
    }
  }
  return result;
}
