/** What is left of a tensor after it was rounded to integers on a grid and read back. */
import { roundHalfEven } from '../../util/rounding.js';
import type { GraphBuilder, Operation, Value } from '../graph.js';

export interface FakeQuantizeAttributes {
  readonly scale: number;
  /** The integer that means 0. */
  readonly zeroPoint: number;
  /** Least and greatest integer. */
  readonly low: number;
  readonly high: number;
}

/** scale * (clip(round(x / scale) + zeroPoint, low, high) - zeroPoint), of one tensor. */
export const fakeQuantizeOperation: Operation<FakeQuantizeAttributes> = {
  name: 'fakeQuantize',
  shape: (_, inputs) => [inputs[0]!],
  // A staircase: its slope is 0 wherever it has one.
  gradient: () => [undefined],
  onnx: ({ emit, attributes: { scale, zeroPoint, low, high }, inputs, outputs }) => {
    const steps = emit.node('Round', [emit.node('Div', [inputs[0]!.name, emit.floats([scale])])]);
    const bounds = [emit.floats([low - zeroPoint]), emit.floats([high - zeroPoint])];
    emit.node('Mul', [emit.node('Clip', [steps, ...bounds]), emit.floats([scale])], {}, [outputs[0]!.name]);
  },
  evaluate: ({ scale, zeroPoint, low, high }, [x]) => [
    x!.data.map(
      (v) => scale * Math.min(Math.max(roundHalfEven(v / scale), low - zeroPoint), high - zeroPoint),
    ),
  ],
};
export const fakeQuantize = (b: GraphBuilder, x: Value, attributes: FakeQuantizeAttributes): Value =>
  b.one(fakeQuantizeOperation, attributes, x);
