/** What a program does at every run, worked out once: rules, layouts, and when each tensor is needed for the last time. */
import type { Graph, Node, Value } from '../../graph/graph.js';
import { layoutOf, type Layout } from './layout.js';
import type { TfjsRule } from './rule.js';
import { rules } from './rules/index.js';

export interface Placed {
  readonly value: Value;
  readonly layout: Layout;
}

export interface Step {
  readonly node: Node;
  readonly rule: TfjsRule;
  readonly inputs: readonly Placed[];
  readonly outputs: readonly Placed[];
  /** Not needed after this step. */
  readonly finished: readonly Value[];
}

/** Inputs and constants of the graph are plain. Throws RangeError for an operation without a rule. */
export function planGraph(graph: Graph): readonly Step[] {
  const layouts = new Map<Value, Layout>();
  const steps = graph.nodes.map((node) => {
    const rule = rules.get(node.operation.name);
    if (rule === undefined) {
      throw new RangeError(
        `Cannot compile for TensorFlow.js: every operation must have a rule: "${node.operation.name}" has none`,
      );
    }
    const choice = rule.layouts(
      node.inputs.map((value) => ({ shape: value.shape, layout: layouts.get(value) ?? 'plain' })),
    );
    const place = (value: Value, wanted: Layout): Placed => ({
      value,
      layout: layoutOf(value.shape, wanted),
    });
    const outputs = node.outputs.map((value) => place(value, choice.output));
    for (const { value, layout } of outputs) layouts.set(value, layout);
    return { node, rule, inputs: node.inputs.map((value, i) => place(value, choice.inputs[i]!)), outputs };
  });
  const finished = lastUses(graph);
  return steps.map((step, i) => ({ ...step, finished: finished[i]! }));
}

/** For each node the values that none after it needs; never constants, which programs keep, nor the graph's outputs. */
function lastUses({ nodes, constants, outputs }: Graph): Value[][] {
  const kept = new Set([...constants.keys(), ...outputs.values()]);
  return nodes
    .map((node) => [...new Set([...node.inputs, ...node.outputs])])
    .reverse()
    .map((values) => {
      const last = values.filter((value) => !kept.has(value));
      for (const value of last) kept.add(value);
      return last;
    })
    .reverse();
}
