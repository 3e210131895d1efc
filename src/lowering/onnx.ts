/** Graphs as ONNX models of plain ai.onnx operators, opset 17: any execution provider runs them. */
import { writeFragment, writeModel } from './modelWriter.js';
import type { LoweringTarget } from './target.js';

export { OPSET } from './modelWriter.js';

export const onnxTarget: LoweringTarget = {
  name: 'onnx',
  domains: {},
  lower: (graph, options = {}) =>
    writeModel(graph, options, (writer) => {
      for (const node of graph.nodes) writer.write(node);
    }),
  fragment: (graph) =>
    writeFragment(
      graph,
      () => false,
      (writer) => {
        for (const node of graph.nodes) writer.write(node);
        return (value) => writer.name(value);
      },
    ),
};
