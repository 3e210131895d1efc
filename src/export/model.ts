/** A subnet as a model that needs nothing of ofakit: plain ONNX, batch norm folded, weights inside. */
import { inferenceGraph } from '../graph/network.js';
import { onnxTarget } from '../lowering/onnx.js';
import { forInference } from '../lowering/passes/forInference.js';
import type { Network } from '../space/network.js';
import type { Tensor } from '../util/tensor.js';
import { packageVersion } from '../util/scripts.js';
import { encodeMetadata, type ModelMetadata } from './metadata.js';

export interface ModelRequest {
  /** Without elastic kernels (`staticNetwork`). */
  readonly network: Network;
  /** By full name (`extractSubnet`). */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Images a run, or `dynamic` to leave that to the user of the file. */
  readonly batch: number | 'dynamic';
  /** Of the graph in the file. */
  readonly name: string;
  readonly metadata?: ModelMetadata;
}

/**
 * ONNX of the network: opset 17, plain ai.onnx operators, no BatchNormalization; input `input` [batch, C, S, S], output
 * `logits` [batch, classes]. Throws RangeError naming a tensor that is missing.
 */
export function buildModel({ network, tensors, batch, name, metadata }: ModelRequest): Uint8Array {
  const graph = inferenceGraph(network.blocks, tensors, batch === 'dynamic' ? 1 : batch);
  return onnxTarget.lower(forInference(graph), {
    name,
    producerVersion: packageVersion(),
    dynamicBatch: batch === 'dynamic',
    ...(metadata === undefined ? {} : { metadata: encodeMetadata(metadata) }),
  });
}
