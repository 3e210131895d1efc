/**
 * Reads ONNX files back into graphs: the operators that our exports contain, opset 13 and later. Files may come from
 * anywhere: whatever is in one, the result is a graph or a UserError.
 */
import { GraphBuilder, type Graph, type Value } from '../graph/graph.js';
import { UserError } from '../util/errors.js';
import { sameShape, formatShape } from '../util/tensor.js';
import { onnx, type Onnx } from './onnxProto.js';
import { ReadingCall, type Named } from './reader/call.js';
import { readingRules } from './reader/rules.js';
import { checkShape, readFloats, toNumber } from './reader/tensors.js';

/** Since 13 axes are inputs, and softmax works on one axis. */
const OLDEST_OPSET = 13;
const NEWEST_OPSET = 25;
/** Constants have as many elements as the file has bytes, twice where they are dequantised first; and some. */
const SPARE_ELEMENTS = 65_536;

export interface ReadOptions {
  /** Size of a first dimension that the file leaves open. Default 1. */
  readonly batch?: number;
  /** What messages call the file. */
  readonly where?: string;
}

export interface ReadModel {
  readonly graph: Graph;
  /** `metadata_props`. */
  readonly metadata: ReadonlyMap<string, string>;
  readonly opset: number;
  /** Inputs and outputs whose first dimension is open in the file. */
  readonly dynamicBatch: boolean;
  /** Something in it is rounded to integers. */
  readonly quantized: boolean;
}

/**
 * The message of a file, not interpreted. Throws UserError for bytes that are none.
 */
export function decodeModel(bytes: Uint8Array, where = 'the model'): Onnx.ModelProto {
  let model: Onnx.ModelProto;
  try {
    model = onnx.ModelProto.decode(bytes);
  } catch (cause) {
    throw new UserError(
      `Cannot read ${where}: it is not an ONNX file, or damaged: ${(cause as Error).message}`,
      {
        cause,
      },
    );
  }
  if (!model.graph) throw new UserError(`Cannot read ${where}: it is not an ONNX file: it has no graph`);
  return model;
}

/**
 * Throws UserError for what is no ONNX file, naming the operator and the node where one cannot be read. Tensors have at
 * most 2^28 elements.
 */
export function readOnnx(bytes: Uint8Array, options: ReadOptions = {}): ReadModel {
  const { where = 'the model' } = options;
  const model = decodeModel(bytes, where);
  const opset = readOpset(model, where);
  const reader = new GraphReader(model.graph!, options.batch ?? 1, where, 2 * bytes.length + SPARE_ELEMENTS);
  return {
    graph: reader.read(),
    metadata: new Map(model.metadataProps.map(({ key, value }) => [key ?? '', value ?? ''])),
    opset,
    dynamicBatch: reader.dynamicBatch,
    quantized: (model.graph!.node ?? []).some(({ opType }) => opType === 'QuantizeLinear'),
  };
}

function readOpset({ opsetImport }: Onnx.ModelProto, where: string): number {
  const own = opsetImport.find(({ domain }) => (domain ?? '') === '' || domain === 'ai.onnx');
  const version = toNumber(own?.version);
  if (version < OLDEST_OPSET || version > NEWEST_OPSET) {
    throw new UserError(
      `Cannot read ${where}: an opset of ${OLDEST_OPSET} to ${NEWEST_OPSET} is wanted: it is ${version}`,
    );
  }
  return version;
}

class GraphReader {
  dynamicBatch = false;
  private readonly b = new GraphBuilder();
  private readonly names = new Map<string, Named>();

  constructor(
    private readonly graph: Onnx.IGraphProto,
    private readonly batch: number,
    private readonly where: string,
    /** Elements that constants may have together. */
    private elementsLeft: number,
  ) {}

  read(): Graph {
    const { graph, where } = this;
    if ((graph.sparseInitializer?.length ?? 0) > 0)
      throw new UserError(`Cannot read ${where}: sparse tensors are not supported`);
    for (const proto of graph.initializer ?? []) this.define(proto.name ?? '', { constant: proto });
    for (const info of graph.input ?? []) {
      // Up to IR version 3, initialisers were listed as inputs too.
      const name = info.name ?? '';
      if (!this.names.has(name)) this.define(name, { value: this.b.input(name, this.shapeOf(info)) });
    }
    for (const node of graph.node ?? []) this.readNode(node);
    if ((graph.output ?? []).length === 0) throw new UserError(`Cannot read ${where}: it has no output`);
    for (const info of graph.output ?? []) this.readOutput(info);
    return this.b.build();
  }

  private define(name: string, named: Named): void {
    if (name === '' || this.names.has(name)) {
      throw new UserError(
        `Cannot read ${this.where}: every tensor must have a name of its own: "${name}" is ${name === '' ? 'empty' : 'used twice'}`,
      );
    }
    this.names.set(name, named);
  }

  private shapeOf(info: Onnx.IValueInfoProto): number[] {
    const what = `${this.where}: input or output "${info.name ?? ''}"`;
    const type = info.type?.tensorType;
    if (type?.elemType !== onnx.TensorProto.DataType.FLOAT || !type.shape)
      throw new UserError(`Cannot read ${what}: a float32 tensor with a shape is wanted`);
    const shape = (type.shape.dim ?? []).map(({ dimValue, dimParam }, axis) => {
      if (axis !== 0 || dimParam === undefined || dimParam === null || dimParam === '')
        return toNumber(dimValue);
      this.dynamicBatch = true;
      return this.batch;
    });
    checkShape(shape, what);
    return shape;
  }

  private readonly constantValue = (name: string, proto: Onnx.ITensorProto): Value => {
    const { shape, data } = readFloats(proto, `${this.where}: tensor "${name}"`);
    this.takeElements(data.length);
    const value = this.b.constant(name, shape, data);
    this.names.set(name, { value });
    return value;
  };

  /** A constant may be read again and again, which takes a file few bytes only. */
  private takeElements(count: number): void {
    this.elementsLeft -= count;
    if (this.elementsLeft < 0)
      throw new UserError(
        `Cannot read ${this.where}: its constants must have no more elements than the file has bytes: they are used again and again`,
      );
  }

  private readNode(node: Onnx.INodeProto): void {
    const call = new ReadingCall(this.b, node, this.names, this.constantValue, this.where);
    const domain = node.domain ?? '';
    const rule = domain === '' || domain === 'ai.onnx' ? readingRules.get(node.opType ?? '') : undefined;
    if (rule === undefined) {
      const other = domain === '' ? '' : ` of domain "${domain}"`;
      throw call.fail(`it is not one of those that can be read${other}`);
    }
    const unknown = call.attributeNames.find((name) => !rule.attributes.includes(name));
    if (unknown !== undefined) throw call.fail(`attribute "${unknown}" is not supported`);
    const [fewest, most] = rule.inputs;
    const inputs = node.input ?? [];
    const given = inputs.length;
    if (given > most || inputs.slice(0, fewest).filter((name) => name !== '').length < fewest)
      throw call.fail(`${fewest} to ${most} inputs are wanted: there are ${given}`);
    const [output, ...others] = (node.output ?? []).filter((name) => name !== '');
    if (output === undefined || others.length > 0) throw call.fail('one output is wanted');
    const scope = (node.name ?? '').split('/').slice(0, -1).join('/');
    let result: Named;
    try {
      result = this.b.scope(scope, () => rule.read(call));
    } catch (error) {
      if (error instanceof UserError) throw error;
      throw call.fail((error as Error).message);
    }
    if ('constant' in result) this.takeElements((result.constant.rawData?.length ?? 0) / 4);
    if ('value' in result)
      checkShape(result.value.shape, `${this.where}: result of node "${node.name ?? ''}"`);
    this.define(output, result);
  }

  private readOutput(info: Onnx.IValueInfoProto): void {
    const name = info.name ?? '';
    const found = this.names.get(name);
    if (found === undefined) throw new UserError(`Cannot read ${this.where}: nothing makes output "${name}"`);
    if ('quantized' in found)
      throw new UserError(`Cannot read ${this.where}: output "${name}" must be float32`);
    const value = 'value' in found ? found.value : this.constantValue(name, found.constant);
    const declared = this.shapeOf(info);
    if (!sameShape(declared, value.shape)) {
      throw new UserError(
        `Cannot read ${this.where}: output "${name}" must be ${formatShape(declared)} as declared: it is ${formatShape(value.shape)}`,
      );
    }
    try {
      this.b.output(name, value);
    } catch (error) {
      throw new UserError(`Cannot read ${this.where}: ${(error as Error).message}`, { cause: error });
    }
  }
}
