/**
 * Exact Gaussian process regression (Rasmussen and Williams, Gaussian processes for machine learning, algorithm 2.1) with
 * the kernel of `gaussianKernel.ts`. Its variance is that of the posterior, without the noise of a measurement.
 */
import { z } from 'zod';
import type { Engine } from '../../engine/engine.js';
import { GraphBuilder, type Graph } from '../../graph/graph.js';
import { activation } from '../../graph/operations/activation.js';
import { add, affine, exp, mul } from '../../graph/operations/elementwise.js';
import { matmul } from '../../graph/operations/matmul.js';
import { reduceSum } from '../../graph/operations/shape.js';
import { cholesky, choleskySolve, invertLower } from '../../util/cholesky.js';
import { validate } from '../../util/files.js';
import { createRandom } from '../../util/random.js';
import { tensor } from '../../util/tensor.js';
import { BatchedProgram } from '../batchedProgram.js';
import { definePredictor, type Model } from '../definePredictor.js';
import { gatherRows } from '../trainNetwork.js';
import { fitKernel, kernelMatrix, LEAST_NOISE, type KernelParameters } from './gaussianKernel.js';

const NAME = 'gp';
/** Its time grows with the cube of samples: hyperparameters are fitted on this many, and the process on `MOST`. */
const MOST_FOR_KERNEL = 256;
const MOST = 2000;

const settingsSchema = z.strictObject({
  samples: z.number().int().positive(),
  variance: z.number().positive(),
  noise: z.number().min(LEAST_NOISE),
});

interface Posterior {
  /** [n, width], as in the kernel times its scales. */
  readonly points: Float32Array;
  /** K^-1 y [n]. */
  readonly weights: Float32Array;
  /** L^-1, transposed [n, n], where L L' = K. */
  readonly whitening: Float32Array;
}

function posterior(rows: Float32Array, targets: Float32Array, kernel: KernelParameters): Posterior {
  const n = targets.length;
  const width = kernel.scales.length;
  const matrix = kernelMatrix(rows, n, kernel);
  for (let i = 0; i < n; i++) matrix[i * n + i]! += kernel.noise;
  const factor = cholesky(matrix, n);
  const inverse = invertLower(factor);
  const whitening = new Float32Array(n * n);
  for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) whitening[j * n + i] = inverse[i * n + j]!;
  return {
    points: rows.map((value, i) => value * kernel.scales[i % width]!),
    weights: Float32Array.from(choleskySolve(factor, targets)),
    whitening,
  };
}

/**
 * Input `x` [batch, width]; outputs `mean` and `variance` [batch, 1]. The kernel's exponent is x.p - |x|^2/2 - |p|^2/2, one
 * product of matrices for all pairs.
 */
export function gaussianProcessGraph(
  { points, weights, whitening }: Posterior,
  { scales, variance }: KernelParameters,
  batch: number,
): Graph {
  const b = new GraphBuilder();
  const n = weights.length;
  const width = scales.length;
  const transposed = new Float32Array(width * n);
  const offsets = new Float32Array(n);
  for (let i = 0; i < n; i++) {
    let square = 0;
    for (let p = 0; p < width; p++) {
      const value = points[i * width + p]!;
      transposed[p * n + i] = value;
      square += value ** 2;
    }
    offsets[i] = Math.log(variance) - 0.5 * square;
  }
  const x = mul(b, b.input('x', [batch, width]), b.constant('scales', [width], scales));
  const product = add(
    b,
    matmul(b, x, b.constant('points', [width, n], transposed)),
    b.constant('offsets', [n], offsets),
  );
  const kernel = exp(b, add(b, product, affine(b, reduceSum(b, mul(b, x, x), [1]), -0.5)));
  b.output('mean', matmul(b, kernel, b.constant('weights', [n, 1], weights)));
  const white = matmul(b, kernel, b.constant('whitening', [n, n], whitening));
  // Rounding must not make it negative.
  const explained = reduceSum(b, mul(b, white, white), [1]);
  b.output('variance', activation(b, affine(b, explained, -1, variance), 'relu'));
  return b.build();
}

function process(rows: Float32Array, targets: Float32Array, kernel: KernelParameters, engine: Engine): Model {
  const n = targets.length;
  const width = kernel.scales.length;
  const fitted = posterior(rows, targets, kernel);
  const program = new BatchedProgram(engine, width, (batch) => gaussianProcessGraph(fitted, kernel, batch));
  return {
    async predict(x, count) {
      const { mean = [], variance = [] } = await program.run(x, count);
      return { mean: Float64Array.from(mean), variance: Float64Array.from(variance) };
    },
    tensors: new Map([
      ['samples', tensor([n, width], rows)],
      ['targets', tensor([n], targets)],
      ['scales', tensor([width], kernel.scales)],
    ]),
    settings: { samples: n, variance: kernel.variance, noise: kernel.noise },
    dispose: () => program.dispose(),
  };
}

export const gaussianProcessPredictor = definePredictor({
  name: NAME,
  description: `Exact Gaussian process, a scale for every place of the encoding; on ${MOST} samples at most`,
  variance: true,

  fit({ rows, width, count, targets }, { engine, seed, signal }) {
    const order = createRandom(seed, 'gp').shuffle(Array.from({ length: count }, (_, i) => i));
    const part = (most: number) => {
      const indices = order.slice(0, most);
      return { rows: gatherRows(rows, width, indices), targets: gatherRows(targets, 1, indices) };
    };
    const some = part(MOST_FOR_KERNEL);
    const kernel = fitKernel(some.rows, some.targets, width, signal);
    const all = part(MOST);
    return process(all.rows, all.targets, kernel, engine);
  },

  restore({ width, settings, tensor: read }, { engine }) {
    const where = `the state of accuracy predictor "${NAME}"`;
    const { samples, variance, noise } = validate(settings, settingsSchema, where);
    const kernel = { variance, noise, scales: read('scales', [width]) };
    return process(read('samples', [samples, width]), read('targets', [samples]), kernel, engine);
  },
});
