/**
 * Rewrites what training writes in small steps into the forms that runtimes have kernels for: a dense layer with its
 * bias becomes one operation, and vectors [N, C] that end up as images [N, C, 1, 1] (squeeze-excite) are images all the
 * way, their dense layers 1x1 convolutions. Without reshapes, blocked layouts survive, and any batch size fits. Gates are
 * h_sigmoid(2 x) after weights of half the size: the same to the last bit, and nothing that a runtime could take for hard-swish
 * (docs/decisions/0026-gates-of-half-weights.md).
 */
import { GraphBuilder, type Graph, type Node, type Value } from '../../graph/graph.js';
import {
  activation,
  activationOperation,
  type ActivationAttributes,
} from '../../graph/operations/activation.js';
import { conv2d } from '../../graph/operations/conv.js';
import { addOperation } from '../../graph/operations/elementwise.js';
import { dense, matmulOperation, type MatmulAttributes } from '../../graph/operations/matmul.js';
import { globalAverageImage, globalAveragePoolOperation } from '../../graph/operations/pool.js';
import { reshape, reshapeOperation } from '../../graph/operations/shape.js';
import type { Shape } from '../../util/tensor.js';

/** x w^T + bias with constant w [O, I] and bias [O] or none. */
interface Dense {
  readonly node: Node;
  readonly x: Value;
  readonly weight: Value;
  readonly bias?: Value;
}

class Rewriter {
  readonly b = new GraphBuilder();
  private readonly mapped = new Map<Value, Value>();
  private readonly images = new Map<Value, Value>();
  private readonly producers: ReadonlyMap<Value, Node>;

  constructor(private readonly graph: Graph) {
    this.producers = new Map(
      graph.nodes.flatMap((node) => node.outputs.map((value) => [value, node] as const)),
    );
  }

  run(): Graph {
    const { graph, b } = this;
    for (const [name, value] of graph.inputs) this.mapped.set(value, b.input(name, value.shape));
    for (const node of graph.nodes) this.rewrite(node);
    for (const [name, value] of graph.outputs) b.output(name, this.map(value));
    return b.build();
  }

  private map(value: Value): Value {
    let result = this.mapped.get(value);
    if (result === undefined) {
      const { name, data } = this.graph.constants.get(value)!;
      this.mapped.set(value, (result = this.b.constant(name, value.shape, data)));
    }
    return result;
  }

  /** What no output needs in the end is dropped by `build`. */
  private rewrite(node: Node): void {
    const outputs = isToImage(node) ? [this.image(node.inputs[0]!)] : this.copy(node);
    node.outputs.forEach((value, i) => this.mapped.set(value, outputs[i]!));
  }

  private copy(node: Node): readonly Value[] {
    const found = this.denseOf(node);
    return this.named(node, () =>
      found?.bias !== undefined
        ? [dense(this.b, this.map(found.x), this.map(found.weight), this.map(found.bias))]
        : this.b.apply(
            node.operation,
            node.attributes,
            node.inputs.map((value) => this.map(value)),
          ),
    );
  }

  /** The value [N, C] as [N, C, 1, 1]. */
  private image(value: Value): Value {
    let result = this.images.get(value);
    if (result === undefined) this.images.set(value, (result = this.makeImage(value)));
    return result;
  }

  private makeImage(value: Value): Value {
    const { b } = this;
    const node = this.producers.get(value);
    if (node?.operation.name === globalAveragePoolOperation.name)
      return this.named(node, () => globalAverageImage(b, this.map(node.inputs[0]!)));
    if (node?.operation.name === activationOperation.name) {
      const before = this.producers.get(node.inputs[0]!);
      const gated = before && this.denseOf(before);
      if (gated !== undefined && (node.attributes as ActivationAttributes).function === 'h_sigmoid') {
        const half = this.convolution(gated, 0.5);
        return this.named(node, () => activation(b, half, 'h_sigmoid_of_double'));
      }
      const x = this.image(node.inputs[0]!);
      return this.named(node, () => b.one(activationOperation, node.attributes as ActivationAttributes, x));
    }
    const found = node && this.denseOf(node);
    if (found === undefined) return reshape(b, this.map(value), [...value.shape, 1, 1]);
    return this.convolution(found);
  }

  /** `factor` times the dense layer as a 1x1 convolution of images. */
  private convolution({ node, x: input, weight, bias }: Dense, factor = 1): Value {
    const x = this.image(input);
    const kernel = this.scaled(weight, factor, [...weight.shape, 1, 1]);
    const added = bias && (factor === 1 ? this.map(bias) : this.scaled(bias, factor, bias.shape));
    return this.named(node, () => conv2d(this.b, x, kernel, { stride: 1, padding: 0, groups: 1 }, added));
  }

  private scaled(value: Value, factor: number, shape: Shape): Value {
    const { name, data } = this.graph.constants.get(value)!;
    return this.b.constant(name, shape, factor === 1 ? data : data.map((v) => factor * v));
  }

  private denseOf(node: Node): Dense | undefined {
    const { constants } = this.graph;
    if (node.operation.name === addOperation.name) {
      const [sum, bias] = node.inputs as readonly [Value, Value];
      const product = this.producers.get(sum);
      const inner = product && this.denseOf(product);
      if (inner === undefined || inner.bias !== undefined) return undefined;
      return constants.has(bias) && bias.shape.length === 1 && bias.shape[0] === inner.weight.shape[0]
        ? { ...inner, bias }
        : undefined;
    }
    if (node.operation.name !== matmulOperation.name) return undefined;
    const { transposeA, transposeB } = node.attributes as MatmulAttributes;
    const [x, weight] = node.inputs as readonly [Value, Value];
    const fits = !transposeA && transposeB && x.shape.length === 2 && constants.has(weight);
    return fits ? { node, x, weight } : undefined;
  }

  /** Nodes keep the scope of the one they come from. */
  private named<T>({ name }: Node, body: () => T): T {
    return this.b.scope(name.split('/').slice(0, -1).join('/'), body);
  }
}

function isToImage({ operation, inputs, outputs }: Node): boolean {
  const shape = outputs[0]!.shape;
  return (
    operation.name === reshapeOperation.name &&
    inputs[0]!.shape.length === 2 &&
    shape.length === 4 &&
    shape[0] === inputs[0]!.shape[0] &&
    shape[1] === inputs[0]!.shape[1]
  );
}

/** The same function. */
export function inferenceForms(graph: Graph): Graph {
  return new Rewriter(graph).run();
}
