/** Tensors of ONNX files. Nothing is allocated before its size was found in the file. */
import { UserError } from '../../util/errors.js';
import { formatShape, sizeOf, type Shape } from '../../util/tensor.js';
import { onnx, type Onnx } from '../onnxProto.js';

/** Of what protobuf gives for an int64: a number, an object of the library `long`, or nothing. */
export const toNumber = (value: unknown): number => Number(value ?? 0);

/** Rank of anything here is below; longer lists of integers are no shapes, axes or permutations. */
const MAX_RANK = 8;
/** Elements of any tensor, also of those that exist only while the graph runs: 1 GB. */
export const MAX_ELEMENTS = 2 ** 28;

/** Throws UserError unless all are positive, few, and their product is not absurd. */
export function checkShape(shape: Shape, what: string): void {
  const fits = shape.length <= MAX_RANK && shape.every((n) => Number.isSafeInteger(n) && n > 0);
  if (!fits || sizeOf(shape) > MAX_ELEMENTS) {
    throw new UserError(
      `Cannot read ${what}: at most ${MAX_RANK} positive dimensions and ${MAX_ELEMENTS} elements are wanted: ` +
        `shape is ${formatShape(shape.slice(0, MAX_RANK + 1))}`,
    );
  }
}

const { DataType, DataLocation } = onnx.TensorProto;
const INTEGERS = new Map<number, typeof Int8Array | typeof Uint8Array | typeof Int32Array>([
  [DataType.INT8, Int8Array],
  [DataType.UINT8, Uint8Array],
  [DataType.INT32, Int32Array],
]);

function checkPlain(proto: Onnx.ITensorProto, what: string): void {
  if (proto.dataLocation === DataLocation.EXTERNAL)
    throw new UserError(`Cannot read ${what}: its data must be in the file itself: they are in another one`);
}

export const isFloat = (proto: Onnx.ITensorProto): boolean => proto.dataType === DataType.FLOAT;

/** A float32 tensor. Throws UserError for another type, and where data and shape do not fit. */
export function readFloats(
  proto: Onnx.ITensorProto,
  what: string,
): { readonly shape: Shape; readonly data: Float32Array } {
  checkPlain(proto, what);
  if (!isFloat(proto)) throw new UserError(`Cannot read ${what}: float32 is wanted: ${typeName(proto)}`);
  const shape = (proto.dims ?? []).map(toNumber);
  checkShape(shape, what);
  const raw = proto.rawData ?? new Uint8Array();
  const listed = proto.floatData ?? [];
  const length = raw.length > 0 ? raw.length / 4 : listed.length;
  if (length !== sizeOf(shape)) {
    throw new UserError(
      `Cannot read ${what}: shape ${formatShape(shape)} needs ${sizeOf(shape)} values: the file has ${length}`,
    );
  }
  // A copy: the file's bytes need not be aligned.
  const data = raw.length > 0 ? new Float32Array(Uint8Array.from(raw).buffer) : Float32Array.from(listed);
  return { shape, data };
}

/** A short list of int64. Throws UserError for anything else. */
export function readInts(proto: Onnx.ITensorProto, what: string): number[] {
  checkPlain(proto, what);
  if (proto.dataType !== DataType.INT64)
    throw new UserError(`Cannot read ${what}: int64 is wanted: ${typeName(proto)}`);
  const shape = (proto.dims ?? []).map(toNumber);
  const raw = proto.rawData ?? new Uint8Array();
  const listed = proto.int64Data ?? [];
  const length = raw.length > 0 ? raw.length / 8 : listed.length;
  if (shape.length > 1 || length !== sizeOf(shape) || length > MAX_RANK) {
    throw new UserError(
      `Cannot read ${what}: a list of at most ${MAX_RANK} integers is wanted: ` +
        `shape ${formatShape(shape.slice(0, MAX_RANK))} with ${length} values`,
    );
  }
  if (raw.length === 0) return listed.map(toNumber);
  return [...new BigInt64Array(Uint8Array.from(raw).buffer)].map(Number);
}

/** Integers of a quantised tensor, of ONNX type `type`. */
export interface Integers {
  readonly type: number;
  readonly shape: Shape;
  readonly data: ArrayLike<number>;
}

/** An int8, uint8 or int32 tensor. Throws UserError for another type, and where data and shape do not fit. */
export function readIntegers(proto: Onnx.ITensorProto, what: string): Integers {
  checkPlain(proto, what);
  const type = proto.dataType ?? 0;
  const Numbers = INTEGERS.get(type);
  if (Numbers === undefined)
    throw new UserError(`Cannot read ${what}: int8, uint8 or int32 is wanted: ${typeName(proto)}`);
  const shape = (proto.dims ?? []).map(toNumber);
  checkShape(shape, what);
  const raw = proto.rawData ?? new Uint8Array();
  const listed = proto.int32Data ?? [];
  const length = raw.length > 0 ? raw.length / Numbers.BYTES_PER_ELEMENT : listed.length;
  if (length !== sizeOf(shape)) {
    throw new UserError(
      `Cannot read ${what}: shape ${formatShape(shape)} needs ${sizeOf(shape)} values: the file has ${length}`,
    );
  }
  return {
    type,
    shape,
    data: raw.length > 0 ? new Numbers(Uint8Array.from(raw).buffer) : Numbers.from(listed),
  };
}

function typeName({ dataType }: Onnx.ITensorProto): string {
  return `its type is ${DataType[dataType ?? 0]?.toLowerCase() ?? String(dataType)}`;
}
