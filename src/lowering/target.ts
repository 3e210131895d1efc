/** Lowering: a graph becomes the bytes that an engine compiles. A target is one file and one line in index.ts. */
import type { Graph } from '../graph/graph.js';
import type { Onnx } from './onnxProto.js';

export interface LoweringTarget {
  readonly name: string;
  /** Operator sets besides ONNX's own that its nodes come from, with their versions. */
  readonly domains: Readonly<Record<string, number>>;
  lower(graph: Graph, options?: LoweringOptions): Uint8Array;
  /** A part of a larger model. `native`: names of inputs and outputs that are images in the target's own layout. */
  fragment(graph: Graph, native: ReadonlySet<string>): Fragment;
}

/** Nodes in an order in which they can run, and the constants they read. */
export interface Fragment {
  readonly nodes: readonly Onnx.INodeProto[];
  readonly initializers: readonly Onnx.ITensorProto[];
  /** Names of the graph's inputs, which are those of their tensors. */
  readonly inputs: readonly string[];
  /** The tensor of each output; it may be that of an input, or of another output. */
  readonly outputs: ReadonlyMap<string, string>;
}

export interface LoweringOptions {
  /** Name of the graph in the file. */
  readonly name?: string;
  /** ONNX `metadata_props`. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Version of the package, for the file's `producer_version`. */
  readonly producerVersion?: string;
  /** Inputs whose first dimension is left open under the name `batch`, and outputs likewise. */
  readonly dynamicBatch?: boolean;
}
