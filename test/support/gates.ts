/** Gates of squeeze-excite in exported files. */
import { METADATA_KEYS } from '../../src/export/metadata.js';
import { onnx, type Onnx } from '../../src/lowering/onnxProto.js';
import { decodeModel } from '../../src/lowering/readOnnx.js';

const slope = (node: Onnx.INodeProto): Onnx.IAttributeProto | undefined =>
  node.opType === 'HardSigmoid' ? node.attribute?.find(({ name }) => name === 'alpha') : undefined;

/** Slopes of the hard sigmoids of a file, in order. */
export const gateSlopes = (bytes: Uint8Array): number[] =>
  (decodeModel(bytes).graph!.node ?? []).flatMap((node) => slope(node)?.f ?? []);

/**
 * The file as it was written before gates had half weights: slope 1/6, weights and biases of the convolution before doubled, no
 * hash of the weights.
 */
export function withGatesOfBefore(bytes: Uint8Array): Uint8Array {
  const model = decodeModel(bytes);
  const { node: nodes = [], initializer = [] } = model.graph!;
  for (const node of nodes ?? []) {
    const alpha = slope(node);
    if (alpha === undefined) continue;
    alpha.f = Math.fround(1 / 6);
    const convolution = nodes!.find(({ output }) => output?.[0] === node.input![0])!;
    for (const name of convolution.input!.slice(1)) {
      const weights = initializer!.find((proto) => proto.name === name)!;
      const raw = new Float32Array(new Uint8Array(weights.rawData!).buffer).map((v) => 2 * v);
      weights.rawData = new Uint8Array(raw.buffer);
    }
  }
  model.metadataProps = model.metadataProps.filter(({ key }) => key !== METADATA_KEYS.sha256);
  return onnx.ModelProto.encode(model).finish();
}
