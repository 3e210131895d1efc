/** Reverse-mode differentiation, graph to graph: gradients are nodes like any other. */
import type { GraphBuilder, Value } from './graph.js';
import { add } from './operations/elementwise.js';

/**
 * Appends the gradient of sum over `seeds` of <value, gradient> with respect to each of `wrt`. A seed's gradient has
 * the value's shape. Returns one value for each of `wrt`, undefined where nothing depends on it.
 */
export function differentiate(
  builder: GraphBuilder,
  seeds: readonly { readonly value: Value; readonly gradient: Value }[],
  wrt: readonly Value[],
): (Value | undefined)[] {
  const nodes = [...builder.nodes];
  const depends = new Set<Value>(wrt);
  for (const node of nodes) {
    if (node.inputs.some((value) => depends.has(value))) for (const value of node.outputs) depends.add(value);
  }
  const gradients = new Map<Value, Value>();
  const accumulate = (value: Value, gradient: Value): void => {
    const sum = gradients.get(value);
    gradients.set(value, sum === undefined ? gradient : add(builder, sum, gradient));
  };
  return builder.scope('gradient', () => {
    for (const { value, gradient } of seeds) accumulate(value, gradient);
    for (const node of nodes.reverse()) {
      const outputGradients = node.outputs.map((value) => gradients.get(value));
      if (outputGradients.every((g) => g === undefined) || !node.outputs.some((v) => depends.has(v)))
        continue;
      const needed = node.inputs.map((value) => depends.has(value));
      const inputGradients = builder.scope(node.name, () =>
        node.operation.gradient({
          builder,
          attributes: node.attributes,
          inputs: node.inputs,
          outputs: node.outputs,
          outputGradients,
          needed,
        }),
      );
      inputGradients.forEach((gradient, i) => {
        if (gradient !== undefined && needed[i]!) accumulate(node.inputs[i]!, gradient);
      });
    }
    return wrt.map((value) => gradients.get(value));
  });
}
