/**
 * Static quantisation in QDQ form: plain ai.onnx operators, QuantizeLinear and DequantizeLinear around what is to be
 * computed in integers, which a runtime fuses into its integer kernels (ONNX Runtime: QLinearConv and so on).
 */
import { onnx, type Onnx } from '../../lowering/onnxProto.js';
import { decodeModel } from '../../lowering/readOnnx.js';
import { readFloats } from '../../lowering/reader/tensors.js';
import { activationGrid, biasScale, quantizeWeights, type ActivationGrid, type Range } from './affine.js';
import { planQuantization } from './plan.js';
import { seal } from '../seal.js';

export interface QuantizeOptions {
  /**
   * Seven bits for weights. On x86 without VNNI instructions two products of eight bits do not fit the 16
   * bits they are added in; others lose accuracy for nothing. Default false.
   */
  readonly reduceRange?: boolean;
}

const { FLOAT, INT8, INT32, UINT8 } = onnx.TensorProto.DataType;

class Quantizer {
  private readonly nodes: Onnx.INodeProto[] = [];
  private readonly initializers = new Map<string, Onnx.ITensorProto>();
  /** What consumers of an activation read instead. */
  private readonly renamed = new Map<string, string>();

  constructor(
    private readonly graph: Onnx.IGraphProto,
    private readonly ranges: ReadonlyMap<string, Range>,
    private readonly limit: number,
  ) {
    for (const proto of graph.initializer ?? []) this.initializers.set(proto.name!, proto);
  }

  run(): void {
    const { graph } = this;
    const { weighted, grids } = planQuantization(graph);
    const grid = (name: string): ActivationGrid | undefined => {
      const source = grids.get(name);
      return source === undefined ? undefined : activationGrid(this.rangeOf(source));
    };
    const follow = (name: string): void => {
      const own = grid(name);
      if (own !== undefined) this.throughGrid(name, own);
    };
    for (const { name } of graph.input ?? []) follow(name!);
    for (const node of graph.node ?? []) {
      const inputs = (node.input ?? []).map((name) => this.renamed.get(name) ?? name);
      const inputGrid = grid(node.input![0]!);
      this.nodes.push({
        ...node,
        input: weighted.has(node) ? [inputs[0]!, ...this.weights(node, inputGrid!)] : inputs,
      });
      for (const name of node.output ?? []) follow(name);
    }
    const used = new Set(this.nodes.flatMap(({ input }) => input ?? []));
    graph.node = this.nodes;
    graph.initializer = [...this.initializers.values()].filter(({ name }) => used.has(name!));
  }

  private rangeOf(name: string): Range {
    const range = this.ranges.get(name);
    if (range === undefined)
      throw new RangeError(`Cannot quantise: the range of every activation is wanted: "${name}" has none`);
    return range;
  }

  private throughGrid(name: string, { scale, zeroPoint }: ActivationGrid): void {
    const parameters = [
      this.constant(`${name}/scale`, FLOAT, [], Float32Array.of(scale)),
      this.constant(`${name}/zero_point`, UINT8, [], Uint8Array.of(zeroPoint)),
    ];
    const integers = `${name}/quantized`;
    this.add('QuantizeLinear', [name, ...parameters], integers);
    this.renamed.set(name, this.add('DequantizeLinear', [integers, ...parameters], `${name}/dequantized`));
  }

  /** Names of the dequantised weight and bias of a node. */
  private weights(node: Onnx.INodeProto, { scale: inputScale }: ActivationGrid): string[] {
    const [weightName, biasName] = node.input!.slice(1);
    const { shape, data } = readFloats(this.initializers.get(weightName!)!, weightName!);
    const bias =
      biasName === undefined ? undefined : readFloats(this.initializers.get(biasName)!, biasName).data;
    const channels = shape[0]!;
    const {
      values,
      scales,
      bias: integers,
    } = quantizeWeights(data, channels, {
      inputScale,
      bias,
      limit: this.limit,
    });
    const weight = this.dequantized(weightName!, INT8, shape, values, scales);
    if (integers === undefined) return [weight];
    const products = scales.map((scale) => biasScale(inputScale, scale));
    return [weight, this.dequantized(biasName!, INT32, [channels], integers, products)];
  }

  /** A constant in integers, with a scale for every entry of its first axis. Two nodes that share one get one each. */
  private dequantized(
    name: string,
    type: typeof INT8 | typeof INT32,
    shape: readonly number[],
    values: Int8Array | Int32Array,
    scales: Float32Array,
  ): string {
    let own = name;
    for (let i = 1; this.initializers.has(`${own}/quantized`); i++) own = `${name}_${i}`;
    const inputs = [
      this.constant(`${own}/quantized`, type, shape, values),
      this.constant(`${own}/scale`, FLOAT, [scales.length], scales),
    ];
    // Kernels want one for weights, all 0; for biases it would be zeros of 4 bytes that nobody reads.
    if (type === INT8)
      inputs.push(this.constant(`${own}/zero_point`, type, [scales.length], new Int8Array(scales.length)));
    return this.add('DequantizeLinear', inputs, `${own}/dequantized`, [
      { name: 'axis', type: onnx.AttributeProto.AttributeType.INT, i: 0 },
    ]);
  }

  private add(
    opType: string,
    input: string[],
    output: string,
    attribute: Onnx.IAttributeProto[] = [],
  ): string {
    this.nodes.push({ opType, name: output, input, output: [output], attribute });
    return output;
  }

  private constant(
    name: string,
    dataType: number,
    dims: readonly number[],
    { buffer, byteOffset, byteLength }: Float32Array | Int8Array | Uint8Array | Int32Array,
  ): string {
    const rawData = new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
    this.initializers.set(name, { name, dims: [...dims], dataType, rawData });
    return name;
  }
}

/** Names of the tensors whose ranges `quantizeModel` wants. Throws UserError for a model that is quantised already. */
export function tensorsToCalibrate(bytes: Uint8Array): string[] {
  return [...new Set(planQuantization(decodeModel(bytes).graph!).grids.values())];
}

/**
 * The quantised form of a float model as `subnetModel` makes it: same input, outputs and metadata, but for the hash. Throws UserError for
 * a model that is quantised already, RangeError where a range is missing or not finite.
 */
export function quantizeModel(
  bytes: Uint8Array,
  ranges: ReadonlyMap<string, Range>,
  { reduceRange = false }: QuantizeOptions = {},
): Uint8Array {
  const model = decodeModel(bytes);
  new Quantizer(model.graph!, ranges, reduceRange ? 63 : 127).run();
  return seal(onnx.ModelProto.encode(model).finish());
}
