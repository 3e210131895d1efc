/** A hash of an exported file's weights and operators, in its own metadata: what tells a damaged file from a whole one. */
import { createHash } from 'node:crypto';
import { onnx, type Onnx } from '../lowering/onnxProto.js';
import { decodeModel } from '../lowering/readOnnx.js';
import { METADATA_KEYS } from './metadata.js';

/** Whether a file holds what was exported; `no hash`: it was written before files had one. */
export type Integrity = 'matches' | 'differs' | 'no hash';

/**
 * SHA-256 over the names, types, shapes and bytes of all initialisers and over all nodes, inputs and outputs, in order. What the
 * file says about itself (metadata, producer) is not part of it.
 */
export function contentSha256({ graph }: Pick<Onnx.ModelProto, 'graph'>): string {
  const hash = createHash('sha256');
  const add = (bytes: Uint8Array): void => {
    hash.update(`${bytes.length} `).update(bytes);
  };
  const { TensorProto, NodeProto, ValueInfoProto } = onnx;
  // Tensors one by one: a copy of each, never of the whole model.
  for (const tensor of graph?.initializer ?? []) add(TensorProto.encode(tensor).finish());
  for (const node of graph?.node ?? []) add(NodeProto.encode(node).finish());
  for (const info of [...(graph?.input ?? []), ...(graph?.output ?? [])])
    add(ValueInfoProto.encode(info).finish());
  return hash.digest('hex');
}

/** The file with its hash, in place of one that it has. */
export function seal(bytes: Uint8Array): Uint8Array {
  const model = decodeModel(bytes);
  model.metadataProps = [
    ...model.metadataProps.filter(({ key }) => key !== METADATA_KEYS.sha256),
    { key: METADATA_KEYS.sha256, value: JSON.stringify(contentSha256(model)) },
  ];
  return onnx.ModelProto.encode(model).finish();
}

/** Throws UserError for what is no ONNX file. */
export function integrityOf(bytes: Uint8Array, where?: string): Integrity {
  const model = decodeModel(bytes, where);
  const stated = model.metadataProps.find(({ key }) => key === METADATA_KEYS.sha256)?.value;
  if (stated === undefined || stated === null) return 'no hash';
  return stated === JSON.stringify(contentSha256(model)) ? 'matches' : 'differs';
}
