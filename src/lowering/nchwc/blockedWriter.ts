/**
 * Writes a graph's nodes with blocked operators. Every value may have a plain form, a blocked form, or both: the missing
 * one is made when a node first asks for it. Whatever the padded channels of a blocked form hold is finite and reaches no
 * real channel: filters are zero there, and results are cut.
 */
import type { Graph, Node, Value } from '../../graph/graph.js';
import type { ModelWriter } from '../modelWriter.js';
import { BlockedOperators, type Fusion } from './operators.js';

/** A blocked value whose nodes wait for its first use, so that its only user can be fused into them. */
export interface Pending {
  readonly emit: (fusion: Fusion) => string;
  /** Whether `emit` takes a fusion that is not empty. */
  readonly fuses: boolean;
  /**
   * Set where something near the value less its channels' means costs no more than the value: gives its name, and the
   * means' estimate that was subtracted, negative, [padded C].
   */
  readonly emitNear?: () => { readonly name: string; readonly minusEstimate: string };
  /** Set where the value is a product of two images: a sum over it needs no product. */
  readonly factors?: readonly [Value, Value];
  /** Set where a vector [N * padded C] can be added on the way. */
  readonly emitShifted?: (shift: string) => string;
}

/** Pending nodes with the name of the graph's node that they come from. */
export interface Held extends Pending {
  readonly scope: string;
}

export class BlockedWriter extends BlockedOperators {
  private readonly blockedForms = new Map<Value, string>();
  private readonly plainForms = new Set<Value>();
  private readonly pending = new Map<Value, Held>();
  private readonly postponed = new Map<Value, Node>();
  private readonly consumers = new Map<Value, Node[]>();
  private readonly producers = new Map<Value, Node>();
  private readonly results: ReadonlySet<Value>;

  /** `blockedInputs`: images that are given in blocked form, by the names of their tensors. */
  constructor(
    writer: ModelWriter,
    block: number,
    graph: Graph,
    blockedInputs: ReadonlyMap<string, Value> = new Map(),
  ) {
    super(writer, block);
    for (const value of [...graph.inputs.values(), ...graph.constants.keys()]) this.plainForms.add(value);
    for (const [name, value] of blockedInputs) {
      this.plainForms.delete(value);
      this.blockedForms.set(value, name);
    }
    for (const node of graph.nodes) {
      for (const value of node.outputs) this.producers.set(value, node);
      for (const value of new Set(node.inputs))
        this.consumers.set(value, [...(this.consumers.get(value) ?? []), node]);
    }
    this.results = new Set(graph.outputs.values());
  }

  /** Nodes that read the value, or undefined where it is an output of the graph as well. */
  users(value: Value): readonly Node[] | undefined {
    return this.results.has(value) ? undefined : (this.consumers.get(value) ?? []);
  }

  /** The value's pending nodes, if `user` alone reads it. */
  fusable(value: Value, user: Node): Held | undefined {
    const users = this.users(value);
    return users?.length === 1 && users[0] === user ? this.held(value) : undefined;
  }

  /** The value's pending nodes, whoever reads it. */
  held(value: Value): Held | undefined {
    return this.blockedForms.has(value) ? undefined : this.pending.get(value);
  }

  /** Writes pending nodes, named after the node that they come from. */
  emit(held: Held, fusion: Fusion): string {
    return this.writer.within(held.scope, () => held.emit(fusion));
  }

  /** Whether the value is, or will be, there in blocked form without a reorder. */
  isBlocked(value: Value): boolean {
    return this.blockedForms.has(value) || this.pending.has(value);
  }

  setBlocked(value: Value, name: string): void {
    this.blockedForms.set(value, name);
  }

  hold(value: Value, scope: Node, pending: Pending): void {
    this.pending.set(value, { ...pending, scope: scope.name });
  }

  /** Writes the node in its plain form if its result is ever asked for. */
  postpone(node: Node): void {
    for (const value of node.outputs) this.postponed.set(value, node);
  }

  /** Name of the plain form's tensor for a rule that writes it itself. */
  plainOutput(value: Value): [string] {
    this.plainForms.add(value);
    return [this.writer.name(value, this.producers.get(value)?.name)];
  }

  /** Writes a node by its plain rule, its inputs in plain form. */
  writePlain(node: Node): void {
    node.inputs.forEach((value) => this.plain(value));
    this.writer.write(node);
    node.outputs.forEach((value) => this.plainForms.add(value));
  }

  /** Writes a node whose rule is the same for every layout, on blocked tensors: its inputs all have its output's shape. */
  writeElementwise({ operation, attributes, inputs, outputs, name }: Node): void {
    const names = inputs.map((value) => this.blocked(value));
    const output = outputs[0]!;
    const result = `${this.writer.name(output, name)}/blocked`;
    operation.onnx({
      emit: this.writer,
      attributes,
      inputs: inputs.map((value, i) => ({ name: names[i]!, shape: this.blockedShape(value.shape) })),
      outputs: [{ name: result, shape: this.blockedShape(output.shape) }],
    });
    this.setBlocked(output, result);
  }

  /** The value as ONNX knows it. */
  plain(value: Value): string {
    const postponed = this.postponed.get(value);
    if (postponed !== undefined && !this.plainForms.has(value)) this.writePlain(postponed);
    if (this.plainForms.has(value)) return this.writer.name(value);
    const blocked = this.blocked(value);
    const producer = this.producers.get(value);
    return this.writer.within(producer?.name ?? 'input', () =>
      this.operator('ReorderOutput', [blocked], { channels: value.shape[1]! }, this.plainOutput(value)),
    );
  }

  /** The value [N, C, H, W] in blocked form. */
  blocked(value: Value): string {
    const known = this.blockedForms.get(value);
    if (known !== undefined) return known;
    const held = this.pending.get(value);
    const name = held === undefined ? this.reorder(this.plain(value), value.shape) : this.emit(held, {});
    this.blockedForms.set(value, name);
    return name;
  }

  /**
   * Writes a vector [padded C] with `write` and makes its first C entries the plain form of `value` [C]. Returns the whole
   * vector.
   */
  vectorResult(value: Value, write: (outputs?: readonly string[]) => string): string {
    const channels = value.shape[0]!;
    const padded = this.padded(channels);
    if (channels === padded) return write(this.plainOutput(value));
    const vector = write();
    this.cut(vector, 0, padded, channels, this.plainOutput(value));
    return vector;
  }
}
