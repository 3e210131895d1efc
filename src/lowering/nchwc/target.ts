/**
 * Graphs as ONNX models with operators of ONNX Runtime's blocked CPU layout (`com.microsoft.nchwc`), which its optimiser
 * otherwise makes of convolutions with constant weights; here weights are inputs. For ONNX Runtime's CPU provider only,
 * and only for the block size of the machine that runs it.
 */
import { onnxTarget } from '../onnx.js';
import { writeModel } from '../modelWriter.js';
import type { LoweringTarget } from '../target.js';
import { BlockedWriter } from './blockedWriter.js';
import { BLOCKED_DOMAIN } from './operators.js';
import { Facts } from './facts.js';
import { rules } from './rules.js';

/** `blockSize`: channels in a block, a property of the processor: 16 with AVX-512, 8 with AVX2. */
export function createNchwcTarget(blockSize: number): LoweringTarget {
  return {
    name: `nchwc${blockSize}`,
    lower: (graph, options = {}) => {
      // Shapes with the batch in them are written into the model.
      if (options.dynamicBatch === true) return onnxTarget.lower(graph, options);
      return writeModel(
        graph,
        options,
        (writer) => {
          const w = new BlockedWriter(writer, blockSize, graph);
          const facts = new Facts();
          for (const node of graph.nodes) {
            const { attributes, inputs, outputs } = node;
            const rule = rules.get(node.operation.name);
            const written = writer.within(
              node.name,
              () => rule?.write({ w, facts, node, attributes, inputs, outputs }) ?? false,
            );
            if (!written) w.writePlain(node);
          }
          for (const value of graph.outputs.values()) w.plain(value);
        },
        { [BLOCKED_DOMAIN]: 1 },
      );
    },
  };
}
