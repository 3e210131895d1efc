/**
 * A chain of choices as one ONNX model: each position is a tree of `If` nodes over its variants, once for the forward
 * and once for the backward pass. Tensors that the backward pass of a variant needs leave its forward `If` as outputs, so
 * nothing is computed twice and nothing crosses to JavaScript between positions.
 */
import { choiceName, type Choice, type ChoicePosition } from '../graph/choices.js';
import { GRADIENT } from '../graph/network.js';
import { onnx, type Onnx } from './onnxProto.js';
import { IR_VERSION, OPSET } from './modelWriter.js';
import type { Fragment, LoweringTarget } from './target.js';

const types = onnx.TensorProto.DataType;
/** A tensor without elements, for what a variant does not have. */
const NOTHING = 'nothing';

export interface ChoiceModel {
  readonly bytes: Uint8Array;
  /** The chain's outputs by the names of the model's. */
  readonly outputs: ReadonlyMap<string, string>;
  /** What the model's boolean inputs must hold for a position to take a choice. */
  selectors(position: number, choice: Choice): ReadonlyMap<string, boolean>;
}

/** What links positions. */
const LINKS = { x: 'x', y: 'y', dy: 'dy', dx: `${GRADIENT}x` } as const;

/** Nodes with the tensors that they are there for. */
interface Branch {
  readonly nodes: Onnx.INodeProto[];
  readonly outputs: string[];
}

/** A variant's nodes under names of the model, cut in two. */
interface Halves {
  readonly forward: Onnx.INodeProto[];
  readonly backward: Onnx.INodeProto[];
  readonly outputs: ReadonlyMap<string, string>;
  /** Tensors of the forward half, but for its outputs, that the backward half or an output of it needs. */
  readonly kept: string[];
}

const isBackward = (output: string): boolean => output.startsWith(GRADIENT);

/** The model of a chain. Throws RangeError for an optional position that changes the shape. */
export function choiceModel(positions: readonly ChoicePosition[], target: LoweringTarget): ChoiceModel {
  const assembler = new Assembler(target);
  let x: string = choiceName(positions[0]!.name, LINKS.x);
  assembler.input(x);
  const backward: ((dy: string) => string)[] = [];
  for (const [i, position] of positions.entries()) {
    checkOptional(position);
    const result = assembler.position(position, x, { first: i === 0, last: i + 1 === positions.length });
    x = result.y;
    backward.unshift(result.backward);
  }
  backward.reduce((dy, write) => write(dy), '');
  return {
    bytes: assembler.bytes(),
    outputs: assembler.outputs,
    selectors: (index, choice) => {
      const { name, variants, optional } = positions[index]!;
      const leaves = variants.length + (optional ? 1 : 0);
      const bits = path(leaves, choice ?? variants.length);
      // A leaf near the root leaves deeper selectors unread; they need a value all the same.
      const levels = Array.from({ length: Math.ceil(Math.log2(leaves)) }, (_, level) => level);
      return new Map(levels.map((level) => [selector(name, level), bits[level] ?? false]));
    },
  };
}

const selector = (position: string, level: number): string => choiceName(position, `select ${level}`);

/** Leaves of the lower branch of a tree over `leaves`: the tree is as flat as can be. */
const lower = (leaves: number): number => 2 ** (Math.ceil(Math.log2(leaves)) - 1);

function path(leaves: number, leaf: number): boolean[] {
  if (leaves === 1) return [];
  const middle = lower(leaves);
  return leaf >= middle ? [true, ...path(leaves - middle, leaf - middle)] : [false, ...path(middle, leaf)];
}

function checkOptional({ name, optional, variants }: ChoicePosition): void {
  if (!optional) return;
  for (const { inputs, outputs } of variants) {
    if (inputs.get(LINKS.x)!.shape.join() === outputs.get(LINKS.y)!.shape.join()) continue;
    throw new RangeError(
      `Cannot leave out position "${name}": every variant must keep the shape of its input: one does not`,
    );
  }
}

class Assembler {
  private readonly nodes: Onnx.INodeProto[] = [];
  private readonly initializers: Onnx.ITensorProto[] = [
    { name: NOTHING, dims: [0], dataType: types.FLOAT, rawData: new Uint8Array() },
  ];
  private readonly constants = new Map<string, string>();
  private readonly inputs = new Map<string, Onnx.IValueInfoProto>();
  readonly outputs = new Map<string, string>();
  private serial = 0;

  constructor(private readonly target: LoweringTarget) {}

  input(name: string, type: number = types.FLOAT): string {
    // Rank and dims differ from variant to variant.
    this.inputs.set(name, { name, type: { tensorType: { elemType: type } } });
    return name;
  }

  /**
   * Writes the forward pass of a position on the tensor `x`. `backward` writes the other one from the gradient `dy` of its
   * `y`, and gives that of its `x`.
   */
  position(
    { name, variants, optional }: ChoicePosition,
    x: string,
    { first, last }: { readonly first: boolean; readonly last: boolean },
  ): { readonly y: string; readonly backward: (dy: string) => string } {
    const native = new Set<string>([
      LINKS.dy,
      LINKS.dx,
      ...(first ? [] : [LINKS.x]),
      ...(last ? [] : [LINKS.y]),
    ]);
    const halves = variants.map((graph) =>
      this.halves(this.target.fragment(graph, native), (input) =>
        input === LINKS.x ? x : input === LINKS.dy ? LINKS.dy : this.input(choiceName(name, input)),
      ),
    );
    const names = [...new Set(halves.flatMap(({ outputs }) => [...outputs.keys()]))];
    const early = names.filter((n) => !isBackward(n));
    const late = names.filter(isBackward);
    const keptCount = Math.max(...halves.map(({ kept }) => kept.length));
    const forward = halves.map(({ forward: nodes, outputs, kept }) =>
      this.branch(nodes, [
        ...early.map((n) => outputs.get(n)),
        ...Array.from({ length: keptCount }, (_, i) => kept[i]),
      ]),
    );
    if (optional) {
      const passed = early.map((n) => (n === LINKS.y ? x : undefined));
      forward.push(this.branch([], [...passed, ...Array<undefined>(keptCount).fill(undefined)]));
    }
    const results = this.write(this.tree(name, forward, 0));
    const made = new Map(early.map((n, i) => [n, results[i]!]));
    const keptResults = results.slice(early.length);
    for (const [n, tensor] of made) if (n !== LINKS.y || last) this.outputs.set(tensor, choiceName(name, n));
    const backward = (dy: string): string => {
      if (late.length === 0) return '';
      const branches = halves.map(({ backward: nodes, outputs, kept }) => {
        const renamed = new Map([[LINKS.dy, dy], ...kept.map((n, i) => [n, keptResults[i]!] as const)]);
        for (const [n, tensor] of made) renamed.set(outputs.get(n) ?? '', tensor);
        renamed.delete('');
        const rename = (n: string): string => renamed.get(n) ?? n;
        return this.branch(
          nodes.map((node) => ({ ...node, input: node.input!.map(rename) })),
          late.map((n) => {
            const tensor = outputs.get(n);
            return tensor === undefined ? undefined : rename(tensor);
          }),
        );
      });
      if (optional)
        branches.push(
          this.branch(
            [],
            late.map((n) => (n === LINKS.dx ? dy : undefined)),
          ),
        );
      const gradients = this.write(this.tree(name, branches, 0));
      late.forEach((n, i) => {
        if (n !== LINKS.dx || first) this.outputs.set(gradients[i]!, choiceName(name, n));
      });
      return gradients[late.indexOf(LINKS.dx)] ?? '';
    };
    return { y: made.get(LINKS.y)!, backward };
  }

  bytes(): Uint8Array {
    const model = onnx.ModelProto.create({
      irVersion: IR_VERSION,
      producerName: 'ofakit',
      opsetImport: Object.entries({ '': OPSET, ...this.target.domains }).map(([domain, version]) => ({
        domain,
        version,
      })),
      graph: {
        name: 'choices',
        node: this.nodes,
        initializer: this.initializers,
        input: [...this.inputs.values()],
        output: [...this.outputs.keys()].map(floats),
      },
    });
    return onnx.ModelProto.encode(model).finish();
  }

  private write({ nodes, outputs }: Branch): readonly string[] {
    this.nodes.push(...nodes);
    return outputs;
  }

  /** A fragment with tensors named for this model, `outer` naming its inputs, cut into what `y` needs and the rest. */
  private halves(fragment: Fragment, outer: (input: string) => string): Halves {
    const prefix = `${this.serial++}:`;
    const names = new Map<string, string>([['', '']]);
    for (const tensor of fragment.initializers) names.set(tensor.name!, this.constant(tensor));
    for (const input of fragment.inputs) names.set(input, outer(input));
    const rename = (name: string): string => names.get(name) ?? prefix + name;
    const nodes = fragment.nodes.map((node) => ({
      ...node,
      name: prefix + node.name!,
      input: node.input!.map(rename),
      output: node.output!.map(rename),
    }));
    const outputs = new Map([...fragment.outputs].map(([name, tensor]) => [name, rename(tensor)]));

    const makers = new Map(nodes.flatMap((node) => node.output.map((name) => [name, node] as const)));
    const early = new Set<Onnx.INodeProto>();
    const visit = (name: string): void => {
      const node = makers.get(name);
      if (node === undefined || early.has(node)) return;
      early.add(node);
      node.input.forEach(visit);
    };
    for (const [name, tensor] of outputs) if (!isBackward(name)) visit(tensor);
    const backward = nodes.filter((node) => !early.has(node));
    const results = new Set([...outputs].filter(([name]) => !isBackward(name)).map(([, tensor]) => tensor));
    const wanted = [
      ...backward.flatMap(({ input }) => input),
      ...[...outputs].filter(([name]) => isBackward(name)).map(([, tensor]) => tensor),
    ];
    const kept = new Set(wanted.filter((name) => early.has(makers.get(name)!) && !results.has(name)));
    return { forward: nodes.filter((node) => early.has(node)), backward, outputs, kept: [...kept] };
  }

  /** A branch with outputs of its own: `If` wants each to be made inside it, once. What is undefined is nothing. */
  private branch(nodes: readonly Onnx.INodeProto[], outputs: readonly (string | undefined)[]): Branch {
    const all = [...nodes];
    const free = new Set(nodes.flatMap(({ output }) => output!));
    const own = outputs.map((name) => {
      if (name !== undefined && free.delete(name)) return name;
      const copy = `copy ${this.serial++}`;
      all.push(identity(name ?? NOTHING, copy));
      return copy;
    });
    return { nodes: all, outputs: own };
  }

  private tree(position: string, branches: readonly Branch[], level: number): Branch {
    if (branches.length === 1) return branches[0]!;
    const middle = lower(branches.length);
    const [otherwise, then] = [branches.slice(0, middle), branches.slice(middle)].map((part) =>
      this.tree(position, part, level + 1),
    ) as [Branch, Branch];
    const outputs = then.outputs.map(() => `choice ${this.serial++}`);
    const node = {
      opType: 'If',
      name: `${position} ${this.serial++}`,
      input: [this.input(selector(position, level), types.BOOL)],
      output: outputs,
      attribute: [this.body('then_branch', then), this.body('else_branch', otherwise)],
    };
    return { nodes: [node], outputs };
  }

  private body(name: string, { nodes, outputs }: Branch): Onnx.IAttributeProto {
    const graph = { name: `branch ${this.serial++}`, node: nodes, output: outputs.map(floats) };
    return { name, type: onnx.AttributeProto.AttributeType.GRAPH, g: graph };
  }

  /** Equal constants of all variants are one. */
  private constant(tensor: Onnx.ITensorProto): string {
    const { dims, dataType, rawData } = tensor;
    const key = `${dataType} ${dims!.join(',')} ${Buffer.from(rawData!).toString('latin1')}`;
    const known = this.constants.get(key);
    if (known !== undefined) return known;
    const name = `constant ${this.constants.size}`;
    this.constants.set(key, name);
    this.initializers.push({ ...tensor, name });
    return name;
  }
}

const floats = (name: string): Onnx.IValueInfoProto => ({
  name,
  type: { tensorType: { elemType: types.FLOAT } },
});

const identity = (from: string, to: string): Onnx.INodeProto => ({
  opType: 'Identity',
  name: to,
  input: [from],
  output: [to],
});
