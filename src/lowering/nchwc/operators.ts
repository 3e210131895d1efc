/**
 * Operators of ONNX Runtime's blocked CPU layout by tensor names. A tensor [N, C, H, W] lives in memory as
 * [N, C / B, H, W, B], channels padded to a multiple of the block size B; its declared dims are [N, padded C, H, W].
 */
import type { OnnxAttributes } from '../../graph/graph.js';
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

export interface Window {
  readonly kernel: readonly [number, number];
  readonly stride?: number;
  readonly dilation?: number;
  /** Top, left, bottom, right. */
  readonly pads?: readonly [number, number, number, number];
  readonly groups: number;
}

export class BlockedOperators {
  private readonly reshaped = new Map<string, string>();

  constructor(
    readonly writer: ModelWriter,
    readonly block: number,
  ) {}

  /** C rounded up to whole blocks. */
  padded(channels: number): number {
    return Math.ceil(channels / this.block) * this.block;
  }

  /** [N, padded C, H, W]. */
  blockedShape([n, c, h, w]: Shape): [number, number, number, number] {
    return [n!, this.padded(c!), h!, w!];
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

  node(
    opType: string,
    inputs: readonly string[],
    attributes: OnnxAttributes = {},
    outputs?: readonly string[],
  ): string {
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
