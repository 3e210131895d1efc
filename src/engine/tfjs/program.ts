/** A graph on TensorFlow.js, operation by operation. */
import { setImmediate } from 'node:timers/promises';
import type { Graph, Value } from '../../graph/graph.js';
import type { Tensor } from '../../util/tensor.js';
import type { Program, Tensors } from '../engine.js';
import { inputOf } from '../inputs.js';
import { relayout, type Layout } from './layout.js';
import { planGraph, type Placed, type Step } from './plan.js';
import type { TensorFlow, TfTensor } from './tensorflow.js';

/** A value's tensor, and the same in the other layout where that was asked for. */
type Forms = Map<Layout, TfTensor>;

export class TfjsProgram implements Program {
  private readonly steps: readonly Step[];
  private readonly constants: ReadonlyMap<Value, TfTensor>;

  constructor(
    private readonly tf: TensorFlow,
    private readonly graph: Graph,
  ) {
    this.steps = planGraph(graph);
    this.constants = new Map(
      [...graph.constants].map(([value, { data }]) => [
        value,
        tf.keep(tf.tensor(data, [...value.shape], 'float32')),
      ]),
    );
  }

  async run(inputs: Tensors): Promise<Record<string, Tensor>> {
    const { tf, graph } = this;
    // Kernels hold the thread: signals and workers' messages get their turn first.
    await setImmediate();
    const results = tf.tidy(() => this.compute(inputs));
    try {
      // A backend in JavaScript gives the memory it computes in, which may be an input's where nothing was computed.
      const taken = new Set<ArrayBufferLike>(
        [...Object.values(inputs), ...graph.constants.values()].map(({ data }) => data.buffer),
      );
      const outputs: Record<string, Tensor> = {};
      for (const [i, [name, { shape }]] of [...graph.outputs].entries()) {
        const data = await results[i]!.data<'float32'>();
        outputs[name] = { shape, data: taken.has(data.buffer) ? data.slice() : data };
        taken.add(data.buffer);
      }
      return outputs;
    } finally {
      tf.dispose(results);
    }
  }

  dispose(): Promise<void> {
    this.tf.dispose([...this.constants.values()]);
    return Promise.resolve();
  }

  /** Within `tf.tidy`, which disposes of everything but the results: the graph's outputs, plain, in their order. */
  private compute(inputs: Tensors): TfTensor[] {
    const { tf, graph } = this;
    const values = new Map<Value, Forms>();
    for (const [value, constant] of this.constants) values.set(value, new Map([['plain', constant]]));
    for (const [name, value] of graph.inputs) {
      const { data } = inputOf(inputs, name, value.shape);
      values.set(value, new Map([['plain', tf.tensor(data, [...value.shape], 'float32')]]));
    }
    for (const step of this.steps) {
      const operands = step.inputs.map((input) => this.form(values, input));
      const results = tf.tidy(() => this.apply(step, operands));
      step.outputs.forEach(({ value, layout }, i) => values.set(value, new Map([[layout, results[i]!]])));
      // Not left to the end: a training step would hold every tensor it ever made.
      for (const value of step.finished) {
        tf.dispose([...values.get(value)!.values()]);
        values.delete(value);
      }
    }
    return [...graph.outputs.values()].map((value) =>
      tf.clone(this.form(values, { value, layout: 'plain' })),
    );
  }

  private apply({ node, rule, outputs }: Step, operands: readonly TfTensor[]): TfTensor[] {
    const results = rule.compute(
      {
        tf: this.tf,
        attributes: node.attributes,
        inputShapes: node.inputs.map(({ shape }) => shape),
        outputShapes: node.outputs.map(({ shape }) => shape),
        layout: outputs[0]!.layout,
      },
      operands,
    );
    // What is still its operand would be disposed of with it.
    return results.map((result) => (operands.includes(result) ? this.tf.clone(result) : result));
  }

  /** A value in a layout, made of the one it has and kept beside it. */
  private form(values: ReadonlyMap<Value, Forms>, { value, layout }: Placed): TfTensor {
    const forms = values.get(value)!;
    const known = forms.get(layout);
    if (known !== undefined) return known;
    const [other] = [...forms.values()];
    const made = relayout(this.tf, other!, value.shape, layout);
    forms.set(layout, made);
    return made;
  }
}
