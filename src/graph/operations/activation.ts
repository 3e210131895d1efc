/** Activations and their gradients. */
import type { GraphBuilder, OnnxEmitter, Operation, Value } from '../graph.js';
import { affine, mul, requireSameShape } from './elementwise.js';

/** `h_sigmoid_of_double` is h_sigmoid(2 x): the gates of exported models (docs/decisions/0026-gates-of-half-weights.md). */
export type ActivationFunction = 'relu' | 'relu6' | 'h_swish' | 'h_sigmoid' | 'h_sigmoid_of_double';

interface ActivationRule {
  readonly value: (x: number) => number;
  /** Where it has a kink: the derivative from the side of zero slope, as PyTorch's. */
  readonly slope: (x: number) => number;
  readonly onnx: (emit: OnnxEmitter, x: string, outputs: readonly string[]) => void;
  readonly slopeOnnx: (emit: OnnxEmitter, x: string) => string;
}

const clip = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high);

/** Steeper than any difference of two floats around the kinks: a hard sigmoid of this slope is a step. */
const STEEP = 1e30;
/** 1 where sign * (x - at) > 0, else 0: one pass where comparison, cast and product would be three. */
function step(emit: OnnxEmitter, x: string, sign: 1 | -1, at: number): string {
  const shifted = at === 0 ? x : emit.node('Sub', [x, emit.floats([at])]);
  return emit.node('HardSigmoid', [shifted], { alpha: { float: sign * STEEP }, beta: { float: 0 } });
}
const hardSigmoid = { alpha: { float: 1 / 6 }, beta: { float: 0.5 } } as const;

const rules: Record<ActivationFunction, ActivationRule> = {
  relu: {
    value: (x) => Math.max(x, 0),
    slope: (x) => (x > 0 ? 1 : 0),
    onnx: (emit, x, outputs) => void emit.node('Relu', [x], {}, outputs),
    slopeOnnx: (emit, x) => step(emit, x, 1, 0),
  },
  relu6: {
    value: (x) => clip(x, 0, 6),
    slope: (x) => (x > 0 && x < 6 ? 1 : 0),
    onnx: (emit, x, outputs) => void emit.node('Clip', [x, emit.floats([0]), emit.floats([6])], {}, outputs),
    slopeOnnx: (emit, x) => emit.node('Mul', [step(emit, x, 1, 0), step(emit, x, -1, 6)]),
  },
  h_sigmoid: {
    value: (x) => clip(x / 6 + 0.5, 0, 1),
    slope: (x) => (Math.abs(x) < 3 ? 1 / 6 : 0),
    onnx: (emit, x, outputs) => void emit.node('HardSigmoid', [x], hardSigmoid, outputs),
    slopeOnnx: (emit, x) =>
      emit.node('Mul', [step(emit, emit.node('Abs', [x]), -1, 3), emit.floats([1 / 6])]),
  },
  h_sigmoid_of_double: {
    value: (x) => clip(x / 3 + 0.5, 0, 1),
    slope: (x) => (Math.abs(x) < 1.5 ? 1 / 3 : 0),
    onnx: (emit, x, outputs) =>
      void emit.node('HardSigmoid', [x], { ...hardSigmoid, alpha: { float: 1 / 3 } }, outputs),
    slopeOnnx: (emit, x) =>
      emit.node('Mul', [step(emit, emit.node('Abs', [x]), -1, 1.5), emit.floats([1 / 3])]),
  },
  h_swish: {
    value: (x) => x * clip(x / 6 + 0.5, 0, 1),
    slope: (x) => (x <= -3 ? 0 : x >= 3 ? 1 : x / 3 + 0.5),
    onnx: (emit, x, outputs) => void emit.node('HardSwish', [x], {}, outputs),
    // x * h'(x) + h(x) with h the hard sigmoid.
    slopeOnnx: (emit, x) => {
      const inside = emit.node('Mul', [
        emit.node('Mul', [x, step(emit, emit.node('Abs', [x]), -1, 3)]),
        emit.floats([1 / 6]),
      ]);
      return emit.node('Add', [inside, emit.node('HardSigmoid', [x], hardSigmoid)]);
    },
  },
};

export interface ActivationAttributes {
  readonly function: ActivationFunction;
}

export const activationOperation: Operation<ActivationAttributes> = {
  name: 'activation',
  shape: (_, inputs) => [inputs[0]!],
  gradient: ({ builder, attributes, inputs, outputGradients }) => [
    builder.one(activationGradientOperation, attributes, inputs[0]!, outputGradients[0]!),
  ],
  onnx: ({ emit, attributes, inputs, outputs }) =>
    rules[attributes.function].onnx(emit, inputs[0]!.name, [outputs[0]!.name]),
  evaluate: (attributes, [x]) => [x!.data.map(rules[attributes.function].value)],
};
export const activation = (b: GraphBuilder, x: Value, fn: ActivationFunction): Value =>
  b.one(activationOperation, { function: fn }, x);

/** Inputs x, dy; output dy * f'(x). */
export const activationGradientOperation: Operation<ActivationAttributes> = {
  name: 'activationGradient',
  shape: (_, inputs) => {
    requireSameShape('activationGradient', inputs);
    return [inputs[0]!];
  },
  gradient: ({ builder, attributes, inputs, outputGradients, needed }) => {
    const [x, dy] = inputs as readonly [Value, Value];
    const g = outputGradients[0]!;
    // Piecewise linear but for h_swish, whose second derivative is 1/3 between its kinks: twice h_sigmoid's slope.
    const curvature = (): Value | undefined =>
      attributes.function === 'h_swish'
        ? affine(
            builder,
            builder.one(activationGradientOperation, { function: 'h_sigmoid' }, x, mul(builder, g, dy)),
            2,
          )
        : undefined;
    return [
      needed[0]! ? curvature() : undefined,
      needed[1]! ? builder.one(activationGradientOperation, attributes, x, g) : undefined,
    ];
  },
  onnx: ({ emit, attributes, inputs, outputs }) => {
    const [x, dy] = inputs;
    emit.node('Mul', [rules[attributes.function].slopeOnnx(emit, x!.name), dy!.name], {}, [outputs[0]!.name]);
  },
  evaluate: (attributes, [x, dy]) => [
    dy!.data.map((g, i) => g * rules[attributes.function].slope(x!.data[i]!)),
  ],
};
