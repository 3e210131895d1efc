/**
 * Models to be timed, with random weights: how long a network takes depends on its shapes, so a device can be measured
 * before there is a supernet.
 */
import { cutOutputs } from '../device/cutOutput.js';
import { inferenceGraph } from '../graph/network.js';
import { forInference } from '../lowering/passes/forInference.js';
import { onnxTarget } from '../lowering/onnx.js';
import type { Architecture } from '../space/architecture.js';
import type { BlockSpec, ImageShape } from '../space/network.js';
import { staticBlock } from '../space/only.js';
import { blockParameters, type ParameterSpec } from '../space/parameters.js';
import type { SearchSpace } from '../space/space.js';
import { createRandom } from '../util/random.js';
import { tensor, type Tensor } from '../util/tensor.js';
import { blockInContext, contextAlone } from './blockContext.js';

/** Weights that keep activations near variance 1; norms that change nothing. */
function randomTensor({ name, role, shape }: ParameterSpec): Tensor {
  const result = tensor(shape);
  if (role === 'normScale' || role === 'runningVariance') result.data.fill(1);
  if (role === 'weight') {
    const random = createRandom('weights to be timed', name);
    const scale = Math.sqrt((2 * shape[0]!) / result.data.length);
    for (let i = 0; i < result.data.length; i++) result.data[i] = scale * random.normal();
  }
  return result;
}

function chainModel(chain: readonly BlockSpec[], batch: number): Uint8Array {
  // Kernels as an exported model has them: at their active size, computed beforehand.
  const blocks = chain.map(staticBlock);
  const tensors = new Map(
    blocks.flatMap((block) =>
      blockParameters(block, 'used').map(
        (parameter) => [`${block.name}.${parameter.name}`, randomTensor(parameter)] as const,
      ),
    ),
  );
  return onnxTarget.lower(forInference(inferenceGraph(blocks, tensors, batch)));
}

/** ONNX of one block alone, input [batch, C, H, W], output cut to one number, batch norms folded. */
export function randomBlockModel(block: BlockSpec, batch: number): Uint8Array {
  return cutOutputs(chainModel([block], batch));
}

/** The same between the layers of its context, see blockContext.ts. `inputChannels`: of the space. */
export function blockInContextModel(block: BlockSpec, inputChannels: number, batch: number): Uint8Array {
  return cutOutputs(chainModel(blockInContext(block, inputChannels), batch));
}

/** ONNX of the context of blocks that take `shape`, without a block. */
export function contextModel(shape: ImageShape, batch: number): Uint8Array {
  return cutOutputs(chainModel(contextAlone(shape), batch));
}

/** ONNX of a whole subnet, input [batch, C, H, W], output logits, batch norms folded. */
export function randomNetworkModel(space: SearchSpace, arch: Architecture, batch: number): Uint8Array {
  return chainModel(space.network(arch).blocks, batch);
}
