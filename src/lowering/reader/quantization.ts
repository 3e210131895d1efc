/**
 * Reading rules of quantised models in QDQ form. Graphs are float: a pair of QuantizeLinear and DequantizeLinear becomes
 * the rounding that it does, a dequantised constant a constant.
 */
import { fakeQuantize } from '../../graph/operations/fakeQuantize.js';
import { sizeOf } from '../../util/tensor.js';
import { onnx, type Onnx } from '../onnxProto.js';
import type { ReadingCall, ReadingRule } from './call.js';
import { readFloats, readIntegers, type Integers } from './tensors.js';

const { INT8, UINT8 } = onnx.TensorProto.DataType;
const LIMITS: ReadonlyMap<number, readonly [number, number]> = new Map([
  [INT8, [-128, 127]],
  [UINT8, [0, 255]],
]);

const floats = (call: ReadingCall, proto: Onnx.ITensorProto, what: string): Float32Array => {
  const { data } = readFloats(proto, `${what} of node "${call.node.name ?? ''}"`);
  if (data.every((scale) => scale > 0 && scale < Infinity)) return data;
  throw call.fail(`${what} must be positive numbers`);
};

function one(call: ReadingCall, values: ArrayLike<number>, what: string): number {
  if (values.length === 1) return values[0]!;
  throw call.fail(`${what} must be one number for an activation: there are ${values.length}`);
}

const integers = (call: ReadingCall, index: number, what: string): Integers =>
  readIntegers(call.constant(index, what), `${what} of node "${call.node.name ?? ''}"`);

const quantize: ReadingRule = {
  attributes: ['axis'],
  inputs: [2, 3],
  read: (call) => {
    const scale = one(call, floats(call, call.constant(1, 'the scale'), 'the scale'), 'the scale');
    const zero = call.has(2) ? integers(call, 2, 'the zero point') : { type: UINT8, shape: [], data: [0] };
    const limits = LIMITS.get(zero.type);
    if (limits === undefined) throw call.fail('the zero point must be int8 or uint8: it is of another type');
    const zeroPoint = one(call, zero.data, 'the zero point');
    const [low, high] = limits;
    const value = fakeQuantize(call.b, call.value(0), { scale, zeroPoint, low, high });
    return { quantized: { value, scale, zeroPoint } };
  },
};

const dequantize: ReadingRule = {
  attributes: ['axis'],
  inputs: [2, 3],
  read: (call) => {
    const scales = floats(call, call.constant(1, 'the scale'), 'the scale');
    const zeros = call.has(2) ? integers(call, 2, 'the zero point').data : undefined;
    const found = call.handOn(0);
    if ('constant' in found) return constantOf(call, found.constant, scales, zeros);
    if (!('quantized' in found)) throw call.fail('integers are wanted: they are floats');
    const { value, ...grid } = found.quantized;
    const same =
      one(call, scales, 'the scale') === grid.scale &&
      one(call, zeros ?? [0], 'the zero point') === grid.zeroPoint;
    if (!same) throw call.fail('scale and zero point must be those that its input was quantised with');
    return { value };
  },
};

/** scale * (integer - zero point), either one for all or one for every entry of `axis`. */
function constantOf(
  call: ReadingCall,
  proto: Onnx.ITensorProto,
  scales: Float32Array,
  zeros: ArrayLike<number> | undefined,
): { constant: Onnx.ITensorProto } {
  const { shape, data } = readIntegers(proto, `input 0 of node "${call.node.name ?? ''}"`);
  const axis = call.int('axis', 1);
  const from = axis < 0 ? axis + shape.length : axis;
  const channels = scales.length === 1 ? 1 : shape[from];
  if (channels !== scales.length || (zeros ?? scales).length !== scales.length)
    throw call.fail(
      `one scale and zero point are wanted, or one for every entry of axis ${axis}: there are ${scales.length}`,
    );
  const inner = channels === 1 ? data.length : sizeOf(shape.slice(from + 1));
  const values = Float32Array.from(data, (v, i) => {
    const c = Math.floor(i / inner) % channels;
    return scales[c]! * (v - (zeros?.[c] ?? 0));
  });
  const { FLOAT } = onnx.TensorProto.DataType;
  if (!values.every(Number.isFinite)) throw call.fail('its result must be finite');
  return { constant: { dims: [...shape], dataType: FLOAT, rawData: new Uint8Array(values.buffer) } };
}

export const quantizationRules: Readonly<Record<string, ReadingRule>> = {
  QuantizeLinear: quantize,
  DequantizeLinear: dequantize,
};
