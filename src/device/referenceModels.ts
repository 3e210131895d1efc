/** Fixed models: those that every measuring job runs beside its own, one of no work, one of fixed work; and one block. */
import { onnx, type Onnx } from '../lowering/onnxProto.js';
import { createRandom } from '../util/random.js';
import type { ReferenceModels } from './bench.js';

const FLOAT = onnx.TensorProto.DataType.FLOAT;

interface Node {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly ints?: Readonly<Record<string, readonly number[]>>;
  readonly int?: Readonly<Record<string, number>>;
}

interface Weight {
  readonly name: string;
  readonly shape: readonly number[];
}

function valueInfo(name: string, shape: readonly number[]): Onnx.IValueInfoProto {
  const dim = shape.map((dimValue) => ({ dimValue }));
  return { name, type: { tensorType: { elemType: FLOAT, shape: { dim } } } };
}

/** Weights repeat after so many: millions of random numbers would take a phone a second. */
const DIFFERENT_WEIGHTS = 4096;

/** One input `x`, one output `y`, float32, static shapes, opset 17, normal random weights of variance 1 / fan-in. */
function encode(
  nodes: readonly Node[],
  weights: readonly Weight[],
  inputShape: readonly number[],
  outputShape: readonly number[],
): Uint8Array {
  const { INT, INTS } = onnx.AttributeProto.AttributeType;
  const model = onnx.ModelProto.create({
    irVersion: 8,
    producerName: 'ofakit',
    opsetImport: [{ domain: '', version: 17 }],
    graph: {
      name: 'reference',
      input: [valueInfo('x', inputShape)],
      output: [valueInfo('y', outputShape)],
      initializer: weights.map(({ name, shape }) => {
        const random = createRandom('reference model', name);
        const size = shape.reduce((product, n) => product * n, 1);
        const scale = Math.sqrt(shape[0]! / size);
        const values = Array.from(
          { length: Math.min(size, DIFFERENT_WEIGHTS) },
          () => random.normal() * scale,
        );
        const data = Float32Array.from({ length: size }, (_, i) => values[i % DIFFERENT_WEIGHTS]!);
        return { name, dims: [...shape], dataType: FLOAT, rawData: new Uint8Array(data.buffer) };
      }),
      node: nodes.map(({ op, inputs, output, ints = {}, int = {} }) => ({
        opType: op,
        input: [...inputs],
        output: [output],
        attribute: [
          ...Object.entries(ints).map(([name, list]) => ({ name, type: INTS, ints: [...list] })),
          ...Object.entries(int).map(([name, i]) => ({ name, type: INT, i })),
        ],
      })),
    },
  });
  return onnx.ModelProto.encode(model).finish();
}

/** Identity on one number: its time is the price of a call. */
export function nullModel(): Uint8Array {
  return encode([{ op: 'Identity', inputs: ['x'], output: 'y' }], [], [1], [1]);
}

/** An inverted residual block: 1x1 to `expand` times the channels, depthwise, 1x1 to `channels`. */
interface Block {
  readonly channels: number;
  readonly expand: number;
  readonly kernel: number;
  readonly stride: 1 | 2;
}

/** Blocks one behind the other on [1, channels, size, size]; the output is cut to one number, as that of models under test is. */
function chain(channels: number, size: number, blocks: readonly Block[]): Uint8Array {
  const nodes: Node[] = [];
  const weights: Weight[] = [];
  let x = 'x';
  let width = channels;
  blocks.forEach((block, i) => {
    const name = (layer: string): string => `block${i}.${layer}`;
    const add = (node: Node): string => {
      nodes.push(node);
      return node.output;
    };
    const conv = (
      layer: string,
      from: string,
      shape: readonly number[],
      stride: number,
      group: number,
    ): string => {
      const kernel = shape[2]!;
      weights.push({ name: name(layer), shape });
      return add({
        op: 'Conv',
        inputs: [from, name(layer)],
        output: name(`${layer}.y`),
        ints: {
          kernel_shape: [kernel, kernel],
          pads: new Array<number>(4).fill(kernel >> 1),
          strides: [stride, stride],
        },
        int: { group },
      });
    };
    const relu = (from: string): string => add({ op: 'Relu', inputs: [from], output: `${from}.relu` });
    const { kernel, stride } = block;
    const inner = width * block.expand;
    const expanded = relu(conv('expand', x, [inner, width, 1, 1], 1, 1));
    const filtered = relu(conv('depthwise', expanded, [inner, 1, kernel, kernel], stride, inner));
    const projected = conv('project', filtered, [block.channels, inner, 1, 1], 1, 1);
    const shortcut = stride === 1 && block.channels === width;
    x = shortcut ? add({ op: 'Add', inputs: [projected, x], output: name('sum') }) : projected;
    width = block.channels;
  });
  nodes.push({ op: 'ReduceMax', inputs: [x], output: 'y', ints: { axes: [1, 2, 3] } });
  return encode(nodes, weights, [1, channels, size, size], [1, 1, 1, 1]);
}

/** A block of large activations and few weights, [1, 24, size, size] -> 1: about 2 ms on a core of the 2020s with size 112. */
export const blockModel = (size = 112): Uint8Array =>
  chain(24, size, [{ channels: 24, expand: 4, kernel: 5, stride: 1 }]);

/** As in MobileNetV3, from large images and few channels to the opposite: 1.2 million weights. */
const SENTINEL_BLOCKS: readonly Block[] = [
  { channels: 24, expand: 4, kernel: 3, stride: 2 },
  { channels: 24, expand: 4, kernel: 3, stride: 1 },
  { channels: 40, expand: 4, kernel: 5, stride: 2 },
  { channels: 40, expand: 4, kernel: 5, stride: 1 },
  { channels: 80, expand: 6, kernel: 3, stride: 2 },
  { channels: 80, expand: 4, kernel: 3, stride: 1 },
  { channels: 112, expand: 6, kernel: 3, stride: 1 },
  { channels: 112, expand: 6, kernel: 3, stride: 1 },
  { channels: 160, expand: 6, kernel: 5, stride: 2 },
  { channels: 160, expand: 6, kernel: 5, stride: 1 },
  { channels: 160, expand: 6, kernel: 5, stride: 1 },
];

/**
 * A network, because what disturbs a machine (clock, caches, memory) must slow it as it slows networks (decision 0021),
 * [1, 16, size, size] -> 1: about 2 ms on a core of the 2020s with size 80.
 */
export const sentinelModel = (size = 80): Uint8Array => chain(16, size, SENTINEL_BLOCKS);

export function referenceModels(): ReferenceModels {
  return { empty: nullModel(), small: sentinelModel(20), large: sentinelModel(80) };
}
