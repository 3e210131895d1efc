/**
 * Writes a graph's nodes with operators of ONNX Runtime's blocked CPU layout. A tensor [N, C, H, W] lives in memory as
 * [N, C / B, H, W, B], channels padded to a multiple of the block size B; its declared dims are [N, padded C, H, W].
 * Whatever padded channels hold is finite and reaches no real channel: filters are zero there, and results are cut.
 *
 * Every value may have a plain form, a blocked form, or both: the missing one is made when a node first asks for it.
 */
import type { Graph, Node, Value } from '../../graph/graph.js';
import type { Shape } from '../../util/tensor.js';
import type { CustomAttributes, ModelWriter } from '../modelWriter.js';

/** Domain of the blocked operators; version 1 in every ONNX Runtime that has them. */
export const BLOCKED_DOMAIN = 'com.microsoft.nchwc';

/** An activation that the blocked convolution applies to its result, with its parameters. */
export interface FusedActivation {
  readonly type: 'Relu' | 'Clip' | 'HardSigmoid';
  readonly parameters?: readonly number[];
}

/** What a convolution can do on the way: add a blocked tensor, then apply an activation. */
export interface Fusion {
  readonly sum?: string;
  readonly activation?: FusedActivation;
}

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

export interface Window {
  readonly kernel: readonly [number, number];
  readonly stride?: number;
  readonly dilation?: number;
  /** Top, left, bottom, right. */
  readonly pads?: readonly [number, number, number, number];
  readonly groups: number;
}

export class BlockedWriter {
  private readonly blockedForms = new Map<Value, string>();
  private readonly plainForms = new Set<Value>();
  private readonly pending = new Map<Value, Held>();
  private readonly reshaped = new Map<string, string>();
  private readonly postponed = new Map<Value, Node>();
  private readonly consumers = new Map<Value, Node[]>();
  private readonly producers = new Map<Value, Node>();
  private readonly results: ReadonlySet<Value>;

  constructor(
    readonly writer: ModelWriter,
    readonly block: number,
    graph: Graph,
  ) {
    for (const value of [...graph.inputs.values(), ...graph.constants.keys()]) this.plainForms.add(value);
    for (const node of graph.nodes) {
      for (const value of node.outputs) this.producers.set(value, node);
      for (const value of new Set(node.inputs))
        this.consumers.set(value, [...(this.consumers.get(value) ?? []), node]);
    }
    this.results = new Set(graph.outputs.values());
  }

  /** C rounded up to whole blocks. */
  padded(channels: number): number {
    return Math.ceil(channels / this.block) * this.block;
  }

  /** [N, padded C, H, W]. */
  blockedShape([n, c, h, w]: Shape): [number, number, number, number] {
    return [n!, this.padded(c!), h!, w!];
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
    const producer = this.producers.get(value)!.name;
    return this.writer.within(producer, () =>
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

  /** A plain tensor [N, C, H, W] in blocked form. */
  reorder(name: string, shape: Shape): string {
    // The operator takes whole groups of four channels only.
    const fits = shape[1]! % 4 === 0;
    return this.operator('ReorderInput', [fits ? name : this.pad(name, shape, this.blockedShape(shape))]);
  }

  /** A node of the blocked domain. */
  operator(
    opType: string,
    inputs: readonly string[],
    attributes?: CustomAttributes,
    outputs?: readonly string[],
  ): string {
    return this.writer.custom(BLOCKED_DOMAIN, opType, inputs, attributes, outputs);
  }

  convolution(
    x: string,
    filter: string,
    { kernel, stride = 1, dilation = 1, pads = [0, 0, 0, 0], groups }: Window,
    { bias, sum, activation }: Fusion & { readonly bias?: string } = {},
  ): string {
    const inputs = [x, filter, bias ?? '', sum ?? ''];
    while (inputs[inputs.length - 1] === '') inputs.pop();
    return this.operator('Conv', inputs, {
      kernel_shape: kernel,
      strides: [stride, stride],
      dilations: [dilation, dilation],
      pads,
      group: groups,
      ...(activation === undefined ? {} : { activation: activation.type }),
      ...(activation?.parameters === undefined
        ? {}
        : { activation_params: { floats: activation.parameters } }),
    });
  }

  /** factor * x + offset per channel, in one pass: `factor` [padded C, 1, 1, 1], `offset` [padded C]. */
  affine(x: string, channels: number, factor: string, offset?: string, fusion: Fusion = {}): string {
    return this.convolution(
      x,
      factor,
      { kernel: [1, 1], groups: this.padded(channels) },
      { ...fusion, ...(offset === undefined ? {} : { bias: offset }) },
    );
  }

  /** Filter of a depthwise 1x1 convolution that multiplies with one number. */
  constantFilter(channels: number, factor: number): string {
    const c = this.padded(channels);
    return this.writer.floats(Array<number>(c).fill(factor), [c, 1, 1, 1]);
  }

  /** Filter of a depthwise 1x1 convolution that copies. */
  ones(channels: number): string {
    return this.constantFilter(channels, 1);
  }

  node(opType: string, inputs: readonly string[], attributes = {}, outputs?: readonly string[]): string {
    return this.writer.node(opType, inputs, attributes, outputs);
  }

  /** Costs a node, no pass: the same memory under other dims. Equal ones are made once. */
  reshape(name: string, shape: Shape, outputs?: readonly string[]): string {
    const write = (): string => this.node('Reshape', [name, this.writer.ints(shape)], {}, outputs);
    if (outputs !== undefined) return write();
    const key = `${name} ${shape.join()}`;
    const result = this.reshaped.get(key) ?? write();
    this.reshaped.set(key, result);
    return result;
  }

  /** Zeros at the end of each axis, up to `to`. */
  pad(name: string, from: Shape, to: Shape): string {
    if (from.every((n, i) => n === to[i])) return name;
    return this.node('Pad', [
      name,
      this.writer.ints([...from.map(() => 0), ...from.map((n, i) => to[i]! - n)]),
    ]);
  }

  /** A vector [C] with zeros up to [padded C]. */
  padVector(name: string, channels: number): string {
    return this.pad(name, [channels], [this.padded(channels)]);
  }

  /** The first `to` entries along `axis`. */
  cut(name: string, axis: number, from: number, to: number, outputs?: readonly string[]): string {
    const { writer } = this;
    if (from === to) return outputs === undefined ? name : this.node('Identity', [name], {}, outputs);
    const bounds = [[0], [to], [axis]].map((values) => writer.ints(values));
    return this.node('Slice', [name, ...bounds], {}, outputs);
  }
}
