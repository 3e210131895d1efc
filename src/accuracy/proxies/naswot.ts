/**
 * NASWOT: how different the linear regions are that the images of a batch fall into. Every rectifier says for every image
 * whether its input is positive; of those codes the kernel K holds, for two images, in how many places they agree, and the
 * score is log |det K| (Mellor et al., "Neural architecture search without training", ICML 2021, eq. 2;
 * BayesWatch/nas-without-training, `score_networks.py`, `hook_logdet`).
 *
 * The reference looks at ReLU (and by its name ReLU6). h_swish, which has no kink, is taken for the ReLU that it replaces;
 * the gates' h_sigmoid is none.
 */
import { LuDecomposition, Matrix } from 'ml-matrix';
import { GraphBuilder, type Graph, type Node } from '../../graph/graph.js';
import {
  activationGradientOperation,
  activationOperation,
  type ActivationAttributes,
} from '../../graph/operations/activation.js';
import { add, affine } from '../../graph/operations/elementwise.js';
import { matmul } from '../../graph/operations/matmul.js';
import { reduceSum, reshape } from '../../graph/operations/shape.js';
import { blockSignature, type BlockSpec } from '../../space/network.js';
import { sizeOf } from '../../util/tensor.js';
import { appendTraining, inputsOf } from './passes.js';
import type { ProxyDefinition } from './proxy.js';

function isRectifier({ operation, attributes }: Node): boolean {
  return (
    operation.name === activationOperation.name &&
    (attributes as ActivationAttributes).function !== 'h_sigmoid'
  );
}

/**
 * Input `x` and the block's parameters; outputs `y` and, where it has rectifiers, `both` [N, N]: in how many of their
 * places two images are both positive, and `places` [N]: how many there are.
 */
function codeGraph(block: BlockSpec, batch: number): Graph {
  const b = new GraphBuilder();
  b.output('y', appendTraining(b, block, batch).y);
  const sums = [...b.nodes].filter(isRectifier).map((node) => {
    const before = reshape(b, node.inputs[0]!, [batch, sizeOf(node.inputs[0]!.shape) / batch]);
    const ones = affine(b, before, 0, 1);
    // The slope of ReLU is the code: 1 where positive, else 0.
    const codes = b.one(activationGradientOperation, { function: 'relu' }, before, ones);
    return { both: matmul(b, codes, codes, false, true), places: reduceSum(b, ones, [1]) };
  });
  if (sums.length > 0) {
    b.output(
      'both',
      sums.map(({ both }) => both).reduce((p, q) => add(b, p, q)),
    );
    b.output(
      'places',
      sums.map(({ places }) => places).reduce((p, q) => add(b, p, q)),
    );
  }
  return b.build();
}

export const naswot: ProxyDefinition = {
  name: 'naswot',
  description: 'log-determinant of how often two images agree in the signs before rectifiers',
  async score({ blocks, tensors, images, passes }) {
    const batch = images.shape[0]!;
    const both = new Float64Array(batch * batch);
    let places = 0;
    let x = images;
    for (const block of blocks) {
      const outputs = await passes.run(
        `block codes ${batch} ${blockSignature(block)}`,
        () => codeGraph(block, batch),
        { ...inputsOf(block, tensors), x },
      );
      x = outputs['y']!;
      places += outputs['places']?.data[0] ?? 0;
      outputs['both']?.data.forEach((v, i) => (both[i]! += v));
    }
    // Agreement of codes p, q of length n: p.q + (1 - p).(1 - q) = n - p.p - q.q + 2 p.q.
    const agree = Matrix.zeros(batch, batch);
    for (let i = 0; i < batch; i++) {
      for (let j = 0; j < batch; j++) {
        const [own, other] = [both[i * batch + i]!, both[j * batch + j]!];
        agree.set(i, j, places - own - other + 2 * both[i * batch + j]!);
      }
    }
    // The product of the pivots, as logarithms: the determinant itself overflows.
    const { upperTriangularMatrix } = new LuDecomposition(agree);
    return upperTriangularMatrix.diagonal().reduce((sum, pivot) => sum + Math.log(Math.abs(pivot)), 0);
  },
};
