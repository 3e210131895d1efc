/** ONNX files of a few nodes, for tests of what runs them. */
import proto from 'onnx-proto';

const { onnx } = proto;

const info = (name: string, shape: readonly number[]): proto.onnx.IValueInfoProto => ({
  name,
  type: { tensorType: { elemType: 1, shape: { dim: shape.map((dimValue) => ({ dimValue })) } } },
});

interface Node {
  readonly opType: string;
  readonly input: string[];
  readonly output: string[];
}

/** One float32 input `x` and one output `y`, opset 17. */
export function smallModel(
  nodes: readonly Node[],
  inputShape: readonly number[],
  outputShape: readonly number[],
): Uint8Array {
  const graph = {
    name: 'small',
    input: [info('x', inputShape)],
    output: [info('y', outputShape)],
    node: [...nodes],
  };
  const model = onnx.ModelProto.create({ irVersion: 8, opsetImport: [{ domain: '', version: 17 }], graph });
  return onnx.ModelProto.encode(model).finish();
}

/** Relu, Det, Relu: no GPU provider of ONNX Runtime has Det. */
export function partlyCpuModel(): Uint8Array {
  return smallModel(
    [
      { opType: 'Relu', input: ['x'], output: ['a'] },
      { opType: 'Det', input: ['a'], output: ['b'] },
      { opType: 'Relu', input: ['b'], output: ['y'] },
    ],
    [1, 8, 8],
    [1],
  );
}

/** One run takes minutes: 5000 products of 1024 x 1024 matrices, each needing the one before. */
export function endlessModel(): Uint8Array {
  const count = 5000;
  const name = (i: number): string => (i === 0 ? 'x' : i === count ? 'y' : `t${i}`);
  return smallModel(
    Array.from({ length: count }, (_, i) => ({
      opType: 'MatMul',
      input: [name(i), 'x'],
      output: [name(i + 1)],
    })),
    [1024, 1024],
    [1024, 1024],
  );
}
