/** The two fixed models that every measuring job runs beside its own: one of no work, one of fixed work. */
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
        const data = Float32Array.from({ length: size }, () => random.normal() * scale);
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

/**
 * An inverted residual block, [1, 24, size, size] -> [1, 24, size, size], expand 4, kernel 5: about 2 ms on a core of the
 * 2020s with size 112. Its output is cut to one number, as the blocks' under test are.
 */
export function sentinelModel(size = 112): Uint8Array {
  const conv = (name: string, from: string, to: string, kernel: number, group: number): Node => ({
    op: 'Conv',
    inputs: [from, name],
    output: to,
    ints: { kernel_shape: [kernel, kernel], pads: new Array<number>(4).fill(kernel >> 1), strides: [1, 1] },
    int: { group },
  });
  return encode(
    [
      conv('expand', 'x', 'a', 1, 1),
      { op: 'Relu', inputs: ['a'], output: 'b' },
      conv('depthwise', 'b', 'c', 5, 96),
      { op: 'Relu', inputs: ['c'], output: 'd' },
      conv('project', 'd', 'e', 1, 1),
      { op: 'Add', inputs: ['e', 'x'], output: 'f' },
      { op: 'ReduceMax', inputs: ['f'], output: 'y', ints: { axes: [1, 2, 3] } },
    ],
    [
      { name: 'expand', shape: [96, 24, 1, 1] },
      { name: 'depthwise', shape: [96, 1, 5, 5] },
      { name: 'project', shape: [24, 96, 1, 1] },
    ],
    [1, 24, size, size],
    [1, 1, 1, 1],
  );
}

export function referenceModels(): ReferenceModels {
  return { empty: nullModel(), small: sentinelModel(28), large: sentinelModel(112) };
}
