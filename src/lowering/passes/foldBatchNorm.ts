/**
 * Folds batch norm with constant statistics into the convolution before it: with f = scale / sqrt(variance + epsilon),
 * w' = w * f and bias' = shift + (bias - mean) * f, computed in float64.
 */
import { GraphBuilder, type Graph, type Node, type Value } from '../../graph/graph.js';
import { batchNormInferenceOperation, type BatchNormAttributes } from '../../graph/operations/batchNorm.js';
import { convOperation, type ConvAttributes } from '../../graph/operations/conv.js';

/** The same function with fewer nodes; batch norms that follow no convolution, or one whose result is used twice, stay. */
export function foldBatchNorm(graph: Graph): Graph {
  const uses = new Map<Value, number>();
  for (const { inputs } of graph.nodes)
    for (const value of inputs) uses.set(value, (uses.get(value) ?? 0) + 1);
  for (const value of graph.outputs.values()) uses.set(value, (uses.get(value) ?? 0) + 1);
  const producers = new Map<Value, Node>(
    graph.nodes.flatMap((node) => node.outputs.map((value) => [value, node] as const)),
  );

  const b = new GraphBuilder();
  const mapped = new Map<Value, Value>();
  for (const [name, value] of graph.inputs) mapped.set(value, b.input(name, value.shape));
  const constant = (value: Value): Float32Array | undefined => graph.constants.get(value)?.data;
  const map = (value: Value): Value => {
    const known = mapped.get(value);
    if (known !== undefined) return known;
    const { name, data } = graph.constants.get(value)!;
    const copy = b.constant(name, value.shape, data);
    mapped.set(value, copy);
    return copy;
  };

  /** The convolution that a batch norm can be folded into. */
  const foldable = (norm: Node): Node | undefined => {
    if (norm.operation.name !== batchNormInferenceOperation.name) return undefined;
    const conv = producers.get(norm.inputs[0]!);
    if (conv?.operation.name !== convOperation.name || uses.get(conv.outputs[0]!) !== 1) return undefined;
    const all = [...norm.inputs.slice(1), ...conv.inputs.slice(1)];
    return all.every((value) => graph.constants.has(value)) ? conv : undefined;
  };
  const folded = new Set(graph.nodes.map(foldable).filter((node) => node !== undefined));

  for (const node of graph.nodes) {
    if (folded.has(node)) continue;
    const conv = foldable(node);
    // Nodes keep their names' scopes, a folded pair the convolution's, so that an exported file stays readable.
    const outputs = b.scope((conv ?? node).name.split('/').slice(0, -1).join('/'), () => {
      if (conv === undefined) return b.apply(node.operation, node.attributes, node.inputs.map(map));
      const { epsilon } = node.attributes as BatchNormAttributes;
      const [scale, shift, mean, variance] = node.inputs.slice(1).map((value) => constant(value)!) as [
        Float32Array,
        Float32Array,
        Float32Array,
        Float32Array,
      ];
      const weight = conv.inputs[1]!;
      const bias = conv.inputs[2] === undefined ? undefined : constant(conv.inputs[2])!;
      const factor = Float64Array.from(scale, (s, c) => s / Math.sqrt(variance[c]! + epsilon));
      const perChannel = constant(weight)!.length / factor.length;
      const name = graph.constants.get(weight)!.name;
      const w = b.constant(
        name,
        weight.shape,
        constant(weight)!.map((v, i) => v * factor[Math.floor(i / perChannel)]!),
      );
      const offsets = Float32Array.from(shift, (t, c) => t + ((bias?.[c] ?? 0) - mean[c]!) * factor[c]!);
      const offset = b.constant(name.replace(/weight$/, 'bias'), [offsets.length], offsets);
      return b.apply(convOperation, conv.attributes as ConvAttributes, [map(conv.inputs[0]!), w, offset]);
    });
    node.outputs.forEach((value, i) => mapped.set(value, outputs[i]!));
  }
  for (const [name, value] of graph.outputs) b.output(name, map(value));
  return b.build();
}
