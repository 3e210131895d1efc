/** Runs a graph by the operations' definitions, in float64: slow, and the oracle of everything else. */
import type { Graph, Tensor64, Value } from './graph.js';

/** Values of the outputs by name. Throws RangeError for a missing or wrongly sized input. */
export function evaluate(
  graph: Graph,
  inputs: ReadonlyMap<string, ArrayLike<number>>,
): Map<string, Tensor64> {
  const values = new Map<Value, Tensor64>();
  for (const [name, value] of graph.inputs) {
    const data = inputs.get(name);
    if (data?.length !== value.shape.reduce((p, n) => p * n, 1)) {
      throw new RangeError(
        `Cannot evaluate the graph: input "${name}" of shape [${value.shape.join(', ')}] is missing or of another size`,
      );
    }
    values.set(value, { shape: value.shape, data: Float64Array.from(data) });
  }
  for (const [value, { data }] of graph.constants)
    values.set(value, { shape: value.shape, data: Float64Array.from(data) });
  for (const { operation, attributes, inputs: operands, outputs } of graph.nodes) {
    const shapes = outputs.map(({ shape }) => shape);
    const results = operation.evaluate(
      attributes,
      operands.map((value) => values.get(value)!),
      shapes,
    );
    outputs.forEach((value, i) => values.set(value, { shape: value.shape, data: results[i]! }));
  }
  return new Map([...graph.outputs].map(([name, value]) => [name, values.get(value)!]));
}
