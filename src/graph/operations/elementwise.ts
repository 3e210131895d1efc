/** Addition, subtraction and multiplication with NumPy broadcasting, exponential, and x -> factor * x + offset. */
import { sameShape, sizeOf, type Shape } from '../../util/tensor.js';
import { shapeError, type GraphBuilder, type Operation, type Tensor64, type Value } from '../graph.js';
import { reshape, sumTo } from './shape.js';

type None = Readonly<Record<string, never>>;

/** Shape of a broadcast operation, or undefined where the shapes do not fit. */
export function broadcastShapes(a: Shape, b: Shape): Shape | undefined {
  const rank = Math.max(a.length, b.length);
  const dims: number[] = [];
  for (let i = 0; i < rank; i++) {
    const m = a[i - rank + a.length] ?? 1;
    const n = b[i - rank + b.length] ?? 1;
    if (m !== n && m !== 1 && n !== 1) return undefined;
    dims.push(Math.max(m, n));
  }
  return dims;
}

/** For each element of `output`, the offset of the element of a tensor of shape `input` that it is broadcast from. */
export function broadcastOffsets(input: Shape, output: Shape): Int32Array {
  const lead = output.length - input.length;
  const offsets = new Int32Array(sizeOf(output));
  let stride = 1;
  let block = 1;
  for (let axis = output.length - 1; axis >= 0; axis--) {
    const size = output[axis]!;
    const own = input[axis - lead] ?? 1;
    if (own > 1)
      for (let i = 0; i < offsets.length; i++) offsets[i]! += (Math.floor(i / block) % size) * stride;
    stride *= own;
    block *= size;
  }
  return offsets;
}

function binary(
  name: string,
  opType: string,
  compute: (a: number, b: number) => number,
  gradient: (b: GraphBuilder, x: Value, y: Value, dz: Value) => readonly [() => Value, () => Value],
): Operation<None> {
  return {
    name,
    shape: (_, inputs) => {
      const result = inputs.length === 2 ? broadcastShapes(inputs[0]!, inputs[1]!) : undefined;
      if (result === undefined) throw shapeError(name, 'two shapes that broadcast are wanted', inputs);
      return [result];
    },
    gradient: ({ builder, inputs, outputGradients, needed }) => {
      const [x, y] = inputs as readonly [Value, Value];
      const rules = gradient(builder, x, y, outputGradients[0]!);
      return [x, y].map((input, i) => (needed[i]! ? sumTo(builder, rules[i]!(), input.shape) : undefined));
    },
    onnx: ({ emit, inputs, outputs }) => {
      emit.node(opType, [inputs[0]!.name, inputs[1]!.name], {}, [outputs[0]!.name]);
    },
    evaluate: (_, inputs, outputs) => {
      const [x, y] = inputs as readonly [Tensor64, Tensor64];
      const shape = outputs[0]!;
      const atX = broadcastOffsets(x.shape, shape);
      const atY = broadcastOffsets(y.shape, shape);
      return [
        Float64Array.from({ length: sizeOf(shape) }, (_unused, i) =>
          compute(x.data[atX[i]!]!, y.data[atY[i]!]!),
        ),
      ];
    },
  };
}

export const addOperation = binary(
  'add',
  'Add',
  (a, b) => a + b,
  (_b, _x, _y, dz) => [() => dz, () => dz],
);
export const subOperation = binary(
  'sub',
  'Sub',
  (a, b) => a - b,
  (b, _x, _y, dz) => [() => dz, () => affine(b, dz, -1)],
);
export const mulOperation = binary(
  'mul',
  'Mul',
  (a, b) => a * b,
  (b, x, y, dz) => [() => mul(b, dz, y), () => mul(b, dz, x)],
);

export const add = (b: GraphBuilder, x: Value, y: Value): Value => b.one(addOperation, {}, x, y);
export const sub = (b: GraphBuilder, x: Value, y: Value): Value => b.one(subOperation, {}, x, y);
export const mul = (b: GraphBuilder, x: Value, y: Value): Value => b.one(mulOperation, {}, x, y);

export interface AffineAttributes {
  readonly factor: number;
  readonly offset: number;
}

export const affineOperation: Operation<AffineAttributes> = {
  name: 'affine',
  shape: (_, inputs) => [inputs[0]!],
  gradient: ({ builder, attributes, outputGradients }) => [
    affine(builder, outputGradients[0]!, attributes.factor),
  ],
  onnx: ({ emit, attributes: { factor, offset }, inputs, outputs }) => {
    const output = [outputs[0]!.name];
    let x = inputs[0]!.name;
    if (factor !== 1 || offset === 0)
      x = emit.node('Mul', [x, emit.floats([factor])], {}, offset === 0 ? output : undefined);
    if (offset !== 0) emit.node('Add', [x, emit.floats([offset])], {}, output);
  },
  evaluate: ({ factor, offset }, [x]) => [x!.data.map((v) => factor * v + offset)],
};
/** factor * x + offset. */
export const affine = (b: GraphBuilder, x: Value, factor: number, offset = 0): Value =>
  b.one(affineOperation, { factor, offset }, x);

export const expOperation: Operation<None> = {
  name: 'exp',
  shape: (_, inputs) => [inputs[0]!],
  gradient: ({ builder, outputs, outputGradients }) => [mul(builder, outputGradients[0]!, outputs[0]!)],
  onnx: ({ emit, inputs, outputs }) => {
    emit.node('Exp', [inputs[0]!.name], {}, [outputs[0]!.name]);
  },
  evaluate: (_, [x]) => [x!.data.map(Math.exp)],
};
export const exp = (b: GraphBuilder, x: Value): Value => b.one(expOperation, {}, x);

/** Adds a vector [C] to the last axis, or to the channel axis of a tensor of rank 4. */
export function addBias(b: GraphBuilder, x: Value, bias: Value): Value {
  if (x.shape.length !== 4) return add(b, x, bias);
  return add(b, x, reshape(b, bias, [1, bias.shape[0]!, 1, 1]));
}

/** Throws unless both values have one shape. */
export function requireSameShape(operation: string, inputs: readonly Shape[]): void {
  if (!inputs.every((shape) => sameShape(shape, inputs[0]!)))
    throw shapeError(operation, 'equal shapes are wanted', inputs);
}
