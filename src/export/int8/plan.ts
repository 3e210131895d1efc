/** Which nodes of a float network compute in integers, and which tensors therefore pass through a grid. */
import { UserError } from '../../util/errors.js';
import type { Onnx } from '../../lowering/onnxProto.js';

/** ONNX Runtime has integer kernels for these between QuantizeLinear and DequantizeLinear. */
const COMPUTING = new Set(['Conv', 'Gemm', 'Add', 'Mul', 'GlobalAveragePool', 'AveragePool']);
/** Their results are on the grid of what they are given. */
const MOVING = new Set(['Flatten', 'Reshape', 'MaxPool']);
/** The saturation of a grid that starts at 0 does their work: they belong to the node before them. */
const ABSORBED = new Set(['Relu', 'Clip']);

export interface QuantizationPlan {
  /** Nodes with weights of their own: Conv, Gemm. */
  readonly weighted: ReadonlySet<Onnx.INodeProto>;
  /** Activations to quantise, each with the tensor whose grid it has (mostly itself), in the order they are made. */
  readonly grids: ReadonlyMap<string, string>;
}

function hasPlainWeights(node: Onnx.INodeProto, constants: ReadonlySet<string>): boolean {
  const attribute = (name: string): Onnx.IAttributeProto | undefined =>
    node.attribute?.find((a) => a.name === name);
  if (!(node.input ?? []).slice(1).every((name) => constants.has(name))) return false;
  if (node.opType === 'Conv') return true;
  const factors = ['alpha', 'beta'].map((name) => attribute(name)?.f ?? 1);
  return (
    factors.every((f) => f === 1) &&
    Number(attribute('transA')?.i ?? 0) === 0 &&
    Number(attribute('transB')?.i ?? 0) === 1
  );
}

/** Throws UserError for a model that is quantised already. */
export function planQuantization(graph: Onnx.IGraphProto): QuantizationPlan {
  const nodes = graph.node ?? [];
  if (nodes.some(({ opType }) => opType === 'QuantizeLinear'))
    throw new UserError('Cannot quantise the model: a float model is wanted: it is quantised already');
  const constants = new Set((graph.initializer ?? []).map(({ name }) => name ?? ''));
  const results = new Set((graph.output ?? []).map(({ name }) => name ?? ''));
  const consumers = new Map<string, Onnx.INodeProto[]>();
  for (const node of nodes)
    for (const name of node.input ?? []) consumers.set(name, [...(consumers.get(name) ?? []), node]);

  const weighted = new Set<Onnx.INodeProto>();
  const wanted = new Map<string, string>();
  for (const node of nodes) {
    const opType = node.opType ?? '';
    const input = node.input ?? [];
    const hasWeights = opType === 'Conv' || opType === 'Gemm';
    const isMoving = MOVING.has(opType) && wanted.has(input[0]!);
    const computes = COMPUTING.has(opType) && (!hasWeights || hasPlainWeights(node, constants));
    if (!isMoving && !computes) continue;
    const activations = hasWeights || isMoving ? input.slice(0, 1) : input;
    // An Add or Mul with a constant stays in float unless its other side is an activation too.
    if (activations.some((name) => constants.has(name))) continue;
    if (hasWeights) weighted.add(node);
    for (const name of activations) if (!wanted.has(name)) wanted.set(name, name);
    const result = node.output![0]!;
    if (results.has(result)) continue;
    const [next, ...others] = consumers.get(result) ?? [];
    if (others.length === 0 && ABSORBED.has(next?.opType ?? ''))
      wanted.set(next!.output![0]!, next!.output![0]!);
    else wanted.set(result, isMoving ? wanted.get(input[0]!)! : result);
  }
  const order = [
    ...(graph.input ?? []).map(({ name }) => name!),
    ...nodes.flatMap(({ output }) => output ?? []),
  ];
  return {
    weighted,
    grids: new Map(
      order.filter((name) => wanted.has(name) && !results.has(name)).map((name) => [name, wanted.get(name)!]),
    ),
  };
}
