/**
 * GraSP: how much removing a weight would change the flow of gradients: -sum w (H g), with H the Hessian of the loss and
 * g its gradient, both with respect to the weights of convolutions and dense layers (Wang, Zhang, Grosse, "Picking winning
 * tickets before training by preserving gradient flow", ICLR 2020, eq. 7; sign as in Zero-Cost NAS, `measures/grasp.py`).
 *
 * H g is the gradient of sum g . c at c = g: the backward pass is differentiated, block by block, and then the forward pass
 * (Pearlmutter, "Fast exact multiplication by the Hessian", Neural Computation 1994). No differences of gradients: networks
 * with rectifiers are pieces, and a step that crosses from one to the next says nothing of either.
 */
import { tensor, type Tensor } from '../../util/tensor.js';
import { lossPass, softmaxRows } from './passes.js';
import { weightNames, type ProxyDefinition } from './proxy.js';

/** Gradient of <adjoint, (softmax(logits) - constant) / N> with respect to the logits: p (a - <p, a>) / N in each row. */
function throughCrossEntropy(logits: Tensor, adjoint: Tensor): Tensor {
  const p = softmaxRows(logits);
  const [rows, classes] = logits.shape as readonly [number, number];
  const result = tensor(logits.shape);
  for (let row = 0; row < rows; row++) {
    const at = row * classes;
    let mean = 0;
    for (let i = at; i < at + classes; i++) mean += p.data[i]! * adjoint.data[i]!;
    for (let i = at; i < at + classes; i++) result.data[i] = (p.data[i]! * (adjoint.data[i]! - mean)) / rows;
  }
  return result;
}

function sumOf(x: Tensor, y: Tensor | undefined): Tensor {
  if (y === undefined) return x;
  return tensor(
    x.shape,
    x.data.map((v, i) => v + y.data[i]!),
  );
}

export const grasp: ProxyDefinition = {
  name: 'grasp',
  description: 'minus weights x Hessian x gradient of the loss of one batch',
  async score({ blocks, tensors, images, labels, passes }) {
    const { logits, inputs, outputGradients, gradients } = await lossPass(
      passes,
      blocks,
      tensors,
      images,
      labels,
    );
    const names = new Set(weightNames(blocks));
    let product = 0;
    const addProducts = (parts: ReadonlyMap<string, Tensor>): void => {
      for (const [name, { data }] of parts) {
        if (!names.has(name)) continue;
        const weight = tensors.get(name)!.data;
        for (let i = 0; i < data.length; i++) product += weight[i]! * data[i]!;
      }
    };
    // The backward pass went from the last block to the first, so its own backward pass goes up again.
    const inputAdjoints: (Tensor | undefined)[] = [];
    let adjointDx: Tensor | undefined;
    for (const [i, block] of blocks.entries()) {
      const pass = { x: inputs[i]!, dy: outputGradients[i]!, adjointDx, along: gradients };
      const second = await passes.backwardTwice(block, tensors, pass);
      addProducts(second.weights);
      inputAdjoints.push(second.x);
      adjointDx = second.dy;
    }
    let dy = throughCrossEntropy(logits, adjointDx!);
    for (let i = blocks.length - 1; i >= 0; i--) {
      const result = await passes.backward(blocks[i]!, tensors, inputs[i]!, dy, i > 0);
      addProducts(result.gradients);
      if (result.dx !== undefined) dy = sumOf(result.dx, inputAdjoints[i]);
    }
    return -product;
  },
};
