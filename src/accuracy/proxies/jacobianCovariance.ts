/**
 * Jacobian covariance: how unlike the network treats different images. J holds, for every image, the gradient of the sum of
 * the batch's logits with respect to its pixels; of the eigenvalues v of the rows' correlation matrix the score is
 * -sum (log(v + k) + 1 / (v + k)), k = 1e-5: greatest where all are 1, that is where no two rows are alike (Mellor et al.,
 * "Neural architecture search without training", first version, arXiv 2006.04647v1, section 3; Zero-Cost NAS,
 * `measures/jacob_cov.py`). Eigenvalues near 0 weigh most, where float32 gradients are good to about a tenth of k.
 */
import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { tensor, type Tensor } from '../../util/tensor.js';
import { forwardAll } from './passes.js';
import type { ProxyDefinition } from './proxy.js';

const K = 1e-5;

/** Pearson's correlations of the rows of [N, ...]; NaN with a row that is constant. */
function rowCorrelations({ shape, data }: Tensor): Matrix {
  const rows = shape[0]!;
  const width = data.length / rows;
  const centred = Array.from({ length: rows }, (_, i) => {
    const row = Float64Array.from(data.subarray(i * width, (i + 1) * width));
    const mean = row.reduce((sum, v) => sum + v, 0) / width;
    const away = row.map((v) => v - mean);
    const length = Math.sqrt(away.reduce((sum, v) => sum + v * v, 0));
    return away.map((v) => v / length);
  });
  const result = Matrix.zeros(rows, rows);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j <= i; j++) {
      const [a, b] = [centred[i]!, centred[j]!];
      let sum = 0;
      for (let p = 0; p < width; p++) sum += a[p]! * b[p]!;
      result.set(i, j, sum);
      result.set(j, i, sum);
    }
  }
  return result;
}

export const jacobianCovariance: ProxyDefinition = {
  name: 'jacob_cov',
  description:
    "how little correlated the gradients of the logits are between images (Zero-Cost NAS's jacob_cov)",
  async score({ blocks, tensors, images, passes }) {
    const { inputs, y } = await forwardAll(passes, blocks, tensors, images);
    let dy = tensor(y.shape);
    dy.data.fill(1);
    for (let i = blocks.length - 1; i >= 0; i--) {
      dy = (await passes.backward(blocks[i]!, tensors, inputs[i]!, dy, true)).dx!;
    }
    const correlations = rowCorrelations(dy);
    if (!correlations.to1DArray().every(Number.isFinite)) return Number.NaN;
    const { realEigenvalues } = new EigenvalueDecomposition(correlations, { assumeSymmetric: true });
    return -realEigenvalues.reduce((sum, v) => sum + Math.log(v + K) + 1 / (v + K), 0);
  },
};
