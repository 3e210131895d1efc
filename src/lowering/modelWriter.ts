/** Writes ONNX models: nodes, initialisers, names, inputs and outputs. Targets decide which nodes a graph becomes. */
import { onnx, type Onnx } from './onnxProto.js';
import type { Graph, Node, OnnxAttributes, OnnxEmitter, Value } from '../graph/graph.js';
import type { Shape } from '../util/tensor.js';
import type { Fragment, LoweringOptions } from './target.js';

/** Newest opset whose every operator used here is in ONNX Runtime since 1.12, and in onnxruntime-web. */
export const OPSET = 17;
/** ONNX 1.11, which belongs to opset 17's runtimes. */
export const IR_VERSION = 8;
const FLOAT = onnx.TensorProto.DataType.FLOAT;
const INT64 = onnx.TensorProto.DataType.INT64;

/** What nodes of other domains need besides: lists of floats. */
export type CustomAttributes = Readonly<
  Record<string, OnnxAttributes[string] | { readonly floats: readonly number[] }>
>;

/** Writes the nodes of one model; names of tensors follow those of the nodes that make them. */
export class ModelWriter implements OnnxEmitter {
  readonly nodes: Onnx.INodeProto[] = [];
  readonly initializers: Onnx.ITensorProto[] = [];
  private readonly names = new Map<Value, string>();
  private readonly taken = new Set<string>();
  private readonly nodeNames = new Set<string>();
  private readonly constants = new Map<string, string>();
  private scope = '';

  /** The value's tensor name; `wanted` where it has none yet. */
  name(value: Value, wanted?: string): string {
    const known = this.names.get(value);
    if (known !== undefined) return known;
    const name = this.fresh(wanted ?? `value_${value.id}`);
    this.names.set(value, name);
    return name;
  }

  /** Keeps `name` from being given to another tensor. */
  reserve(name: string): string {
    return this.fresh(name);
  }

  /** Runs `body` with nodes and tensors named after the node `scope`. */
  within<T>(scope: string, body: () => T): T {
    const outer = this.scope;
    this.scope = scope;
    try {
      return body();
    } finally {
      this.scope = outer;
    }
  }

  /** A node in its plain form. Its inputs have to be there under the names of their values, unless `input` says otherwise. */
  write(node: Node, input: (value: Value) => string = (value) => this.name(value)): void {
    const { operation, attributes, inputs, outputs, name } = node;
    this.within(name, () => {
      operation.onnx({
        emit: this,
        attributes,
        inputs: inputs.map((value) => ({ name: input(value), shape: value.shape })),
        outputs: outputs.map((value, i) => ({
          name: this.name(value, outputs.length === 1 ? name : `${name}.${i}`),
          shape: value.shape,
        })),
      });
    });
  }

  node(
    opType: string,
    inputs: readonly string[],
    attributes: OnnxAttributes = {},
    outputs?: readonly string[],
  ): string {
    return this.custom('', opType, inputs, attributes, outputs);
  }

  /** `node` in another domain than ONNX's own. */
  custom(
    domain: string,
    opType: string,
    inputs: readonly string[],
    attributes: CustomAttributes = {},
    outputs?: readonly string[],
  ): string {
    const names = outputs ?? [this.fresh(`${this.scope}/${opType}`)];
    this.nodes.push({
      opType,
      ...(domain === '' ? {} : { domain }),
      name: unique(this.nodeNames, outputs === undefined ? names[0]! : this.scope),
      input: [...inputs],
      output: [...names],
      attribute: Object.entries(attributes).map(([key, value]) => attributeProto(key, value)),
    });
    return names[0]!;
  }

  ints(values: readonly number[]): string {
    return this.shared(`ints ${values.join(',')}`, `shape_${values.join('_')}`, (name) => ({
      name,
      dims: [values.length],
      dataType: INT64,
      rawData: new Uint8Array(BigInt64Array.from(values, BigInt).buffer),
    }));
  }

  floats(values: readonly number[], shape: Shape = []): string {
    return this.shared(
      `floats ${shape.join(',')}: ${values.join(',')}`,
      `scalar_${values.slice(0, 4).join('_')}`,
      (name) => floatTensor(name, shape, Float32Array.from(values)),
    );
  }

  private shared(key: string, wanted: string, make: (name: string) => Onnx.ITensorProto): string {
    const known = this.constants.get(key);
    if (known !== undefined) return known;
    const name = this.fresh(wanted);
    this.initializers.push(make(name));
    this.constants.set(key, name);
    return name;
  }

  private fresh(wanted: string): string {
    return unique(this.taken, wanted);
  }
}

/** `wanted`, with a number where it is taken; takes it. */
function unique(taken: Set<string>, wanted: string): string {
  let name = wanted;
  for (let i = 1; taken.has(name); i++) name = `${wanted}_${i}`;
  taken.add(name);
  return name;
}

function attributeProto(name: string, value: CustomAttributes[string]): Onnx.IAttributeProto {
  const types = onnx.AttributeProto.AttributeType;
  if (typeof value === 'number') return { name, type: types.INT, i: value };
  if (typeof value === 'string') return { name, type: types.STRING, s: new TextEncoder().encode(value) };
  if ('float' in value) return { name, type: types.FLOAT, f: value.float };
  if ('floats' in value) return { name, type: types.FLOATS, floats: [...value.floats] };
  return { name, type: types.INTS, ints: [...value] };
}

/** A float32 initialiser over the same memory. */
function floatTensor(name: string, shape: Shape, data: Float32Array): Onnx.ITensorProto {
  return {
    name,
    dims: [...shape],
    dataType: FLOAT,
    rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  };
}

function valueInfo(name: string, shape: Shape, dynamicBatch: boolean): Onnx.IValueInfoProto {
  const dim = shape.map((n, i) => (dynamicBatch && i === 0 ? { dimParam: 'batch' } : { dimValue: n }));
  return { name, type: { tensorType: { elemType: FLOAT, shape: { dim } } } };
}

/**
 * A model's bytes. `write` adds the graph's nodes; afterwards each output must be there under its value's name. `domains`:
 * operator sets besides ONNX's own, with their versions.
 */
export function writeModel(
  graph: Graph,
  { name = 'ofakit', metadata = {}, producerVersion, dynamicBatch = false }: LoweringOptions,
  write: (writer: ModelWriter) => void,
  domains: Readonly<Record<string, number>> = {},
): Uint8Array {
  const writer = new ModelWriter();
  const input = [...graph.inputs].map(([wanted, value]) =>
    valueInfo(writer.name(value, wanted), value.shape, dynamicBatch),
  );
  for (const [value, constant] of graph.constants) {
    writer.initializers.push(floatTensor(writer.name(value, constant.name), value.shape, constant.data));
  }
  // An output that is an input, a constant or another output as well needs a node of its own.
  const produced = new Set(graph.nodes.flatMap(({ outputs }) => outputs));
  const copies: [string, Value][] = [];
  const output = [...graph.outputs].map(([wanted, value]) => {
    const first = produced.delete(value);
    const own = first ? writer.name(value, wanted) : wanted;
    if (!first) copies.push([wanted, value]);
    return valueInfo(own, value.shape, dynamicBatch);
  });
  write(writer);
  for (const [wanted, value] of copies) writer.node('Identity', [writer.name(value)], {}, [wanted]);
  const model = onnx.ModelProto.create({
    irVersion: IR_VERSION,
    producerName: 'ofakit',
    ...(producerVersion === undefined ? {} : { producerVersion }),
    opsetImport: Object.entries({ '': OPSET, ...domains }).map(([domain, version]) => ({ domain, version })),
    metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
    graph: { name, node: writer.nodes, initializer: writer.initializers, input, output },
  });
  return onnx.ModelProto.encode(model).finish();
}

/** A graph's nodes alone. `write` adds them and says which tensor an output is; `isNative` inputs are only reserved a name. */
export function writeFragment(
  graph: Graph,
  isNative: (input: string) => boolean,
  write: (writer: ModelWriter) => (value: Value) => string,
): Fragment {
  const writer = new ModelWriter();
  const inputs = [...graph.inputs.keys()];
  for (const [name, value] of graph.inputs) {
    if (isNative(name)) writer.reserve(name);
    else writer.name(value, name);
  }
  for (const [value, constant] of graph.constants) {
    writer.initializers.push(floatTensor(writer.name(value, constant.name), value.shape, constant.data));
  }
  const tensorOf = write(writer);
  const outputs = new Map([...graph.outputs].map(([name, value]) => [name, tensorOf(value)]));
  return { nodes: writer.nodes, initializers: writer.initializers, inputs, outputs };
}
