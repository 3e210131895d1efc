/**
 * Graphs: lists of typed operations with static shapes, in an order in which they can run. Every network here (forward
 * pass, training step, calibration, exported model, one block to be timed) is one. Float32 tensors only: labels enter
 * as distributions, so no operation needs integers.
 */
import { formatShape, sizeOf, type Shape } from '../util/tensor.js';

/** A tensor that exists while a graph runs. Identity is the object itself. */
export interface Value {
  readonly id: number;
  readonly shape: Shape;
}

/** A tensor in the precision of the oracle: float64, row-major. */
export interface Tensor64 {
  readonly shape: Shape;
  readonly data: Float64Array;
}

/** Writes one operation's ONNX form; names are those of tensors in the model. */
export interface OnnxEmitter {
  /** Adds a node and returns its output's name: a fresh one unless `outputs` names them. */
  node(
    opType: string,
    inputs: readonly string[],
    attributes?: OnnxAttributes,
    outputs?: readonly string[],
  ): string;
  /** An int64 initialiser, for shapes and axes. */
  ints(values: readonly number[]): string;
  /** A float32 initialiser; a scalar without `shape`. */
  floats(values: readonly number[], shape?: Shape): string;
}
/** Integers become `i`/`ints`, text `s`; wrap a float in `{ float }`. */
export type OnnxAttributes = Readonly<
  Record<string, number | readonly number[] | string | { readonly float: number }>
>;

export interface OnnxCall<A> {
  readonly emit: OnnxEmitter;
  readonly attributes: A;
  readonly inputs: readonly { readonly name: string; readonly shape: Shape }[];
  readonly outputs: readonly { readonly name: string; readonly shape: Shape }[];
}

export interface GradientCall<A> {
  readonly builder: GraphBuilder;
  readonly attributes: A;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  /** Gradient of the differentiated value with respect to each output; undefined where it does not depend on it. */
  readonly outputGradients: readonly (Value | undefined)[];
  /** Which inputs' gradients are wanted. */
  readonly needed: readonly boolean[];
}

/**
 * What an operation is: one object in one file. All of it is required, so an operation without a gradient, an ONNX form
 * or an oracle does not compile.
 */
export interface Operation<A> {
  readonly name: string;
  /** Shapes of the outputs. Throws TypeError naming the operation, the wanted shapes and the given ones. */
  shape(attributes: A, inputs: readonly Shape[]): readonly Shape[];
  /** Gradients of the inputs, built from operations; undefined where none flows or none is needed. */
  gradient(call: GradientCall<A>): readonly (Value | undefined)[];
  /** Plain ai.onnx operators, opset 17. */
  onnx(call: OnnxCall<A>): void;
  /** The oracle: straight from the definition, in float64. */
  evaluate(attributes: A, inputs: readonly Tensor64[], outputs: readonly Shape[]): readonly Float64Array[];
}

export interface Node {
  readonly operation: Operation<unknown>;
  readonly attributes: unknown;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  /** Readable and unique in its graph, e.g. `stage0.block1/depthwise/conv2d`. */
  readonly name: string;
}

export interface Graph {
  readonly inputs: ReadonlyMap<string, Value>;
  readonly constants: ReadonlyMap<Value, Constant>;
  readonly nodes: readonly Node[];
  readonly outputs: ReadonlyMap<string, Value>;
}
export interface Constant {
  readonly name: string;
  readonly data: Float32Array;
}

/** The TypeError of a shape rule. */
export function shapeError(operation: string, wanted: string, inputs: readonly Shape[]): TypeError {
  return new TypeError(
    `Cannot apply ${operation}: ${wanted}: shapes are ${inputs.map(formatShape).join(', ')}`,
  );
}

/** Builds one graph; equal operations on equal inputs become one node. */
export class GraphBuilder {
  private readonly inputs = new Map<string, Value>();
  private readonly constants = new Map<Value, Constant>();
  private readonly outputs = new Map<string, Value>();
  private readonly list: Node[] = [];
  private readonly known = new Map<string, readonly Value[]>();
  private readonly names = new Map<string, number>();
  private scopes: string[] = [];
  private values = 0;

  /** Nodes so far, in order. */
  get nodes(): readonly Node[] {
    return this.list;
  }

  /** A tensor given at run time. Throws RangeError for a name that is taken. */
  input(name: string, shape: Shape): Value {
    if (this.inputs.has(name))
      throw new RangeError(`Cannot add input "${name}": the graph has one of that name`);
    const value = this.value(shape);
    this.inputs.set(name, value);
    return value;
  }

  /** A tensor fixed when the graph is compiled. */
  constant(name: string, shape: Shape, data: Float32Array): Value {
    if (data.length !== sizeOf(shape)) {
      throw new RangeError(
        `Cannot add constant "${name}": shape ${formatShape(shape)} needs ${sizeOf(shape)} values: got ${data.length}`,
      );
    }
    const value = this.value(shape);
    this.constants.set(value, { name: this.unique(name), data });
    return value;
  }

  /** Applies an operation; throws its shape rule's TypeError. */
  apply<A>(operation: Operation<A>, attributes: A, inputs: readonly Value[]): readonly Value[] {
    const key = `${operation.name} ${JSON.stringify(attributes)} ${inputs.map(({ id }) => id).join(' ')}`;
    const known = this.known.get(key);
    if (known !== undefined) return known;
    const shapes = operation.shape(
      attributes,
      inputs.map(({ shape }) => shape),
    );
    const outputs = shapes.map((shape) => this.value(shape));
    this.known.set(key, outputs);
    this.list.push({
      operation,
      attributes,
      inputs,
      outputs,
      name: this.unique([...this.scopes, operation.name].filter((part) => part !== '').join('/')),
    });
    return outputs;
  }

  /** `apply` for operations with one output. */
  one<A>(operation: Operation<A>, attributes: A, ...inputs: readonly Value[]): Value {
    return this.apply(operation, attributes, inputs)[0]!;
  }

  /** Names the nodes added by `body`. */
  scope<T>(name: string, body: () => T): T {
    this.scopes = [...this.scopes, name];
    try {
      return body();
    } finally {
      this.scopes = this.scopes.slice(0, -1);
    }
  }

  output(name: string, value: Value): void {
    if (this.outputs.has(name))
      throw new RangeError(`Cannot add output "${name}": the graph has one of that name`);
    this.outputs.set(name, value);
  }

  /** The graph, without nodes and constants that no output needs. Inputs stay, so that callers see what they declared. */
  build(): Graph {
    const needed = new Set(this.outputs.values());
    const nodes: Node[] = [];
    for (const node of [...this.list].reverse()) {
      if (!node.outputs.some((value) => needed.has(value))) continue;
      nodes.push(node);
      for (const value of node.inputs) needed.add(value);
    }
    return {
      inputs: this.inputs,
      constants: new Map([...this.constants].filter(([value]) => needed.has(value))),
      nodes: nodes.reverse(),
      outputs: this.outputs,
    };
  }

  private value(shape: Shape): Value {
    if (!shape.every((n) => Number.isInteger(n) && n > 0)) {
      throw new RangeError(
        `Cannot make a tensor: every dimension must be a positive integer: shape is ${formatShape(shape)}`,
      );
    }
    return { id: this.values++, shape };
  }

  private unique(name: string): string {
    const count = this.names.get(name) ?? 0;
    this.names.set(name, count + 1);
    return count === 0 ? name : this.unique(`${name}_${count}`);
  }
}
