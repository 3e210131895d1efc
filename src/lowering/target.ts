/** Lowering: a graph becomes the bytes that an engine compiles. A target is one file and one line in index.ts. */
import type { Graph } from '../graph/graph.js';

export interface LoweringTarget {
  readonly name: string;
  lower(graph: Graph, options?: LoweringOptions): Uint8Array;
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
