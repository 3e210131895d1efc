/**
 * Graphs as ONNX models with operators of ONNX Runtime's blocked CPU layout (`com.microsoft.nchwc`), which its optimiser
 * otherwise makes of convolutions with constant weights; here weights are inputs. For ONNX Runtime's CPU provider only,
 * and only for the block size of the machine that runs it.
 */
import { onnxTarget } from '../onnx.js';
import type { Graph, Value } from '../../graph/graph.js';
import { writeFragment, writeModel, type ModelWriter } from '../modelWriter.js';
import type { LoweringTarget } from '../target.js';
import { BlockedWriter } from './blockedWriter.js';
import { BLOCKED_DOMAIN } from './operators.js';
import { Facts } from './facts.js';
import { rules } from './rules.js';

const domains = { [BLOCKED_DOMAIN]: 1 };

/** `blockSize`: channels in a block, a property of the processor: 16 with AVX-512, 8 with AVX2. */
export function createNchwcTarget(blockSize: number): LoweringTarget {
  return {
    name: `nchwc${blockSize}`,
    domains,
    lower: (graph, options = {}) => {
      // Shapes with the batch in them are written into the model.
      if (options.dynamicBatch === true) return onnxTarget.lower(graph, options);
      const write = (writer: ModelWriter): void => {
        const w = new BlockedWriter(writer, blockSize, graph);
        writeNodes(w, graph);
        for (const value of graph.outputs.values()) w.plain(value);
      };
      return writeModel(graph, options, write, domains);
    },
    fragment: (graph, native) => {
      const blocked = (names: Iterable<[string, Value]>): [string, Value][] =>
        [...names].filter(([name, { shape }]) => native.has(name) && shape.length === 4);
      const inputs = new Map(blocked(graph.inputs));
      const outputs = new Set(blocked(graph.outputs).map(([, value]) => value));
      return writeFragment(
        graph,
        (name) => inputs.has(name),
        (writer) => {
          const w = new BlockedWriter(writer, blockSize, graph, inputs);
          writeNodes(w, graph);
          return (value) => (outputs.has(value) ? w.blocked(value) : w.plain(value));
        },
      );
    },
  };
}

function writeNodes(w: BlockedWriter, graph: Graph): void {
  const facts = new Facts();
  for (const node of graph.nodes) {
    const { attributes, inputs, outputs } = node;
    const rule = rules.get(node.operation.name);
    const written = w.writer.within(
      node.name,
      () => rule?.write({ w, facts, node, attributes, inputs, outputs }) ?? false,
    );
    if (!written) w.writePlain(node);
  }
}
