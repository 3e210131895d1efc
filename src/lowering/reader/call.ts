/** One node of an ONNX file as the reading rules see it. */
import type { GraphBuilder, Value } from '../../graph/graph.js';
import { UserError } from '../../util/errors.js';
import { onnx, type Onnx } from '../onnxProto.js';
import { readFloats, readInts, toNumber } from './tensors.js';

/** An activation on its way through integers: `value` is what they will be read back as. */
export interface Quantized {
  readonly value: Value;
  readonly scale: number;
  readonly zeroPoint: number;
}

/** What a name in the file stands for: a value of the graph, a constant that no operation has used yet, or integers. */
export type Named =
  { readonly value: Value } | { readonly constant: Onnx.ITensorProto } | { readonly quantized: Quantized };

/** How one ONNX operator becomes operations of ours. */
export interface ReadingRule {
  /** Attributes that it understands; any other one is an error, as ignoring it could change the result. */
  readonly attributes: readonly string[];
  /** Fewest and most inputs. */
  readonly inputs: readonly [number, number];
  readonly read: (call: ReadingCall) => Named;
}

const { AttributeType } = onnx.AttributeProto;

export class ReadingCall {
  private readonly attributes: Map<string, Onnx.IAttributeProto>;

  constructor(
    readonly b: GraphBuilder,
    readonly node: Onnx.INodeProto,
    private readonly names: ReadonlyMap<string, Named>,
    private readonly constantValue: (name: string, proto: Onnx.ITensorProto) => Value,
    private readonly where: string,
  ) {
    this.attributes = new Map((node.attribute ?? []).map((a) => [a.name ?? '', a]));
  }

  get attributeNames(): string[] {
    return [...this.attributes.keys()];
  }

  /** The error of this node: `wanted: current`. */
  fail(problem: string): UserError {
    const { opType, name, output } = this.node;
    const title = name !== '' ? name : output?.[0];
    return new UserError(
      `Cannot read ${this.where}: operator ${opType} at node "${title ?? ''}": ${problem}`,
    );
  }

  has(index: number): boolean {
    return (this.node.input?.[index] ?? '') !== '';
  }

  private named(index: number): Named {
    const name = this.node.input?.[index] ?? '';
    const found = this.names.get(name);
    if (found === undefined)
      throw this.fail(`input ${index} must be made before it is used: "${name}" is not there`);
    return found;
  }

  /** A tensor operand; constants become those of the graph. */
  value(index: number): Value {
    const found = this.named(index);
    if ('quantized' in found) throw this.fail(`input ${index} must be float32: it is quantised`);
    return 'value' in found ? found.value : this.constantValue(this.node.input![index]!, found.constant);
  }

  /** The operand as it is, to be handed on. */
  handOn(index: number): Named {
    return this.named(index);
  }

  constant(index: number, what: string): Onnx.ITensorProto {
    const found = this.named(index);
    if ('constant' in found) return found.constant;
    throw this.fail(`${what} must be a constant: it is computed`);
  }

  isConstant(index: number): boolean {
    return this.has(index) && 'constant' in this.named(index);
  }

  /** A constant list of integers: a shape, axes. */
  ints(index: number, what: string): number[] {
    return readInts(this.constant(index, what), `${what} of node "${this.node.name ?? ''}"`);
  }

  /** A constant float32 of one element. */
  scalar(index: number, what: string): number {
    const { data } = readFloats(this.constant(index, what), `${what} of node "${this.node.name ?? ''}"`);
    if (data.length !== 1) throw this.fail(`${what} must be one number: there are ${data.length}`);
    return data[0]!;
  }

  private attribute(name: string, type: Onnx.AttributeProto.AttributeType): Onnx.IAttributeProto | undefined {
    const found = this.attributes.get(name);
    if (found === undefined || found.type === type) return found;
    throw this.fail(`attribute "${name}" must be of type ${AttributeType[type]}: it is another`);
  }

  int(name: string, otherwise: number): number {
    const found = this.attribute(name, AttributeType.INT);
    return found === undefined ? otherwise : toNumber(found.i);
  }

  float(name: string, otherwise: number): number {
    return this.attribute(name, AttributeType.FLOAT)?.f ?? otherwise;
  }

  intsAttribute(name: string): number[] | undefined {
    return this.attribute(name, AttributeType.INTS)?.ints?.map(toNumber);
  }

  tensorAttribute(name: string): Onnx.ITensorProto | undefined {
    return this.attribute(name, AttributeType.TENSOR)?.t ?? undefined;
  }

  string(name: string): string | undefined {
    const bytes = this.attribute(name, AttributeType.STRING)?.s;
    return bytes ? Buffer.from(bytes).toString('utf8') : undefined;
  }

  /** An attribute that must have one value here; absent means `otherwise`. */
  require(name: string, wanted: number, otherwise = wanted): void {
    const value = this.int(name, otherwise);
    if (value !== wanted) throw this.fail(`${name} must be ${wanted}: it is ${value}`);
  }

  requireFloat(name: string, wanted: number, otherwise = wanted): void {
    const value = this.float(name, otherwise);
    if (!(Math.abs(value - wanted) <= 1e-6)) throw this.fail(`${name} must be ${wanted}: it is ${value}`);
  }
}
