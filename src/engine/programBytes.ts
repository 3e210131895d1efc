/** What a compiled program holds while it does not run. */
import type { Graph } from '../graph/graph.js';

/**
 * As measured on ONNX Runtime 1.30, blocked lowering: 30 to 45 KB an operation of the graph, in programs of 40 and of 800
 * of them (`npm run bench:memory -- --programs`).
 */
const BYTES_PER_OPERATION = 45e3;

/** Estimated bytes of a graph's program: what the runtime keeps for its operations, and its constants, packed once more. */
export function programBytes({ nodes, constants }: Graph): number {
  const values = [...constants.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
  return BYTES_PER_OPERATION * nodes.length + 2 * values;
}
