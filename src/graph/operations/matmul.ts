/** Matrix products of the last two axes, each operand optionally transposed; leading axes must be equal. */
import { sameShape, sizeOf, type Shape } from '../../util/tensor.js';
import { shapeError, type GraphBuilder, type Operation, type Value } from '../graph.js';
import { sumTo } from './shape.js';

export interface MatmulAttributes {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

/** Rows and columns of an operand as the product sees it. */
function matrix(shape: Shape, transposed: boolean): readonly [number, number] {
  const [rows, columns] = shape.slice(-2) as [number, number];
  return transposed ? [columns, rows] : [rows, columns];
}

export const matmulOperation: Operation<MatmulAttributes> = {
  name: 'matmul',
  shape: ({ transposeA, transposeB }, inputs) => {
    const [a, b] = inputs;
    if (a === undefined || b === undefined || a.length < 2 || a.length !== b.length) {
      throw shapeError('matmul', 'two operands of equal rank, at least 2, are wanted', inputs);
    }
    const [rows, inner] = matrix(a, transposeA);
    const [innerB, columns] = matrix(b, transposeB);
    if (inner !== innerB || !sameShape(a.slice(0, -2), b.slice(0, -2))) {
      throw shapeError('matmul', `equal leading axes and an inner length of ${inner} are wanted`, inputs);
    }
    return [[...a.slice(0, -2), rows, columns]];
  },
  gradient: ({ builder, attributes: { transposeA, transposeB }, inputs, outputGradients, needed }) => {
    const [a, b] = inputs as readonly [Value, Value];
    const dc = outputGradients[0]!;
    // C = A B: dA = dC B^T, dB = A^T dC; a transposed operand swaps the factors and the result's axes.
    const da = (): Value =>
      transposeA ? matmul(builder, b, dc, transposeB, true) : matmul(builder, dc, b, false, !transposeB);
    const db = (): Value =>
      transposeB ? matmul(builder, dc, a, true, transposeA) : matmul(builder, a, dc, !transposeA, false);
    return [needed[0]! ? da() : undefined, needed[1]! ? db() : undefined];
  },
  onnx: ({ emit, attributes: { transposeA, transposeB }, inputs, outputs }) => {
    const [a, b] = inputs;
    const output = [outputs[0]!.name];
    if (outputs[0]!.shape.length === 2 && (transposeA || transposeB)) {
      emit.node(
        'Gemm',
        [a!.name, b!.name],
        { transA: Number(transposeA), transB: Number(transposeB) },
        output,
      );
      return;
    }
    const operand = (x: { name: string; shape: Shape }, transposed: boolean): string => {
      const axes = x.shape.map((_, i) => i);
      return transposed
        ? emit.node('Transpose', [x.name], { perm: [...axes.slice(0, -2), axes.length - 1, axes.length - 2] })
        : x.name;
    };
    emit.node('MatMul', [operand(a!, transposeA), operand(b!, transposeB)], {}, output);
  },
  evaluate: ({ transposeA, transposeB }, [a, b], outputs) => {
    const [rows, inner] = matrix(a!.shape, transposeA);
    const columns = matrix(b!.shape, transposeB)[1];
    const y = new Float64Array(sizeOf(outputs[0]!));
    const batches = y.length / (rows * columns);
    for (let n = 0; n < batches; n++) {
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < columns; j++) {
          let sum = 0;
          for (let k = 0; k < inner; k++) {
            sum +=
              a!.data[n * rows * inner + (transposeA ? k * rows + i : i * inner + k)]! *
              b!.data[n * inner * columns + (transposeB ? j * inner + k : k * columns + j)]!;
          }
          y[(n * rows + i) * columns + j] = sum;
        }
      }
    }
    return [y];
  },
};

export const matmul = (b: GraphBuilder, x: Value, y: Value, transposeA = false, transposeB = false): Value =>
  b.one(matmulOperation, { transposeA, transposeB }, x, y);

/** Dense layer: x [N, I], w [O, I], bias [O]; output x w^T + bias [N, O]. */
export const denseOperation: Operation<Readonly<Record<string, never>>> = {
  name: 'dense',
  shape: (_, inputs) => {
    const [x, w, bias] = inputs;
    const fits =
      x?.length === 2 && w?.length === 2 && bias?.length === 1 && x[1] === w[1] && w[0] === bias[0];
    if (!fits) throw shapeError('dense', 'x [N, I], w [O, I] and a bias [O] are wanted', inputs);
    return [[x[0]!, w[0]!]];
  },
  // dx = dy w, dw = dy^T x, dbias = sum of dy over the batch
  gradient: ({ builder, inputs, outputGradients, needed }) => {
    const [x, w, bias] = inputs as readonly [Value, Value, Value];
    const dy = outputGradients[0]!;
    return [
      needed[0]! ? matmul(builder, dy, w) : undefined,
      needed[1]! ? matmul(builder, dy, x, true) : undefined,
      needed[2]! ? sumTo(builder, dy, bias.shape) : undefined,
    ];
  },
  onnx: ({ emit, inputs, outputs }) => {
    const names = inputs.map(({ name }) => name);
    emit.node('Gemm', names, { transB: 1 }, [outputs[0]!.name]);
  },
  evaluate: (_, [x, w, bias], outputs) => {
    const [y] = matmulOperation.evaluate({ transposeA: false, transposeB: true }, [x!, w!], outputs);
    return [y!.map((v, i) => v + bias!.data[i % bias!.data.length]!)];
  },
};
export const dense = (b: GraphBuilder, x: Value, w: Value, bias: Value): Value =>
  b.one(denseOperation, {}, x, w, bias);
