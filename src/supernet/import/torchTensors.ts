/** Tensors of PyTorch checkpoints: views of storages, described by the pickle, read when they are wanted. */
import { UserError } from '../../util/errors.js';
import { formatShape, sizeOf, tensor, type Shape, type Tensor } from '../../util/tensor.js';
import { bfloatToNumber, halfToNumber } from '../safetensors.js';
import type { PickleMeaning, PickleValue } from './pickle.js';

/** More than any tensor of a network has. */
const MOST_DIMENSIONS = 16;

interface StorageType {
  readonly name: string;
  readonly bytes: number;
  readonly read: (view: DataView, offset: number, littleEndian: boolean) => number;
  /** Weights must be of such a type. */
  readonly isFloat: boolean;
}

const storageTypes: readonly StorageType[] = [
  { name: 'FloatStorage', bytes: 4, isFloat: true, read: (v, at, le) => v.getFloat32(at, le) },
  { name: 'DoubleStorage', bytes: 8, isFloat: true, read: (v, at, le) => v.getFloat64(at, le) },
  { name: 'HalfStorage', bytes: 2, isFloat: true, read: (v, at, le) => halfToNumber(v.getUint16(at, le)) },
  {
    name: 'BFloat16Storage',
    bytes: 2,
    isFloat: true,
    read: (v, at, le) => bfloatToNumber(v.getUint16(at, le)),
  },
  { name: 'LongStorage', bytes: 8, isFloat: false, read: (v, at, le) => Number(v.getBigInt64(at, le)) },
  { name: 'IntStorage', bytes: 4, isFloat: false, read: (v, at, le) => v.getInt32(at, le) },
  { name: 'ShortStorage', bytes: 2, isFloat: false, read: (v, at, le) => v.getInt16(at, le) },
  { name: 'CharStorage', bytes: 1, isFloat: false, read: (v, at) => v.getInt8(at) },
  { name: 'ByteStorage', bytes: 1, isFloat: false, read: (v, at) => v.getUint8(at) },
  { name: 'BoolStorage', bytes: 1, isFloat: false, read: (v, at) => v.getUint8(at) },
];
/** The class of a storage, as an argument in a pickle. */
class StorageClass {
  constructor(readonly type: StorageType) {}
}

const byGlobal = new Map(storageTypes.map((type) => [`torch.${type.name}`, new StorageClass(type)]));

/** Numbers in a row that tensors are views of. */
class Storage {
  constructor(
    readonly key: string,
    readonly type: StorageType,
    /** Values from the start of the bytes of `key`, and how many. */
    readonly start: number,
    readonly length: number,
  ) {}
}

/** A tensor that is in a file: what it is, without its values. */
export class TorchTensor {
  constructor(
    readonly storage: Storage,
    readonly offset: number,
    readonly shape: Shape,
    readonly strides: readonly number[],
  ) {}
}

export type TorchObject = StorageClass | Storage | TorchTensor;
type Value = PickleValue<TorchObject>;

export interface StorageBytes {
  /** Bytes of a storage by its key, at least `length` of them. */
  (key: string, length: number): Uint8Array;
}

/** What the pickle of a checkpoint may ask for. `where` names the file; `storages` gets the bytes of a value by key. */
export function torchMeaning(where: string, storages: Map<string, number>): PickleMeaning<TorchObject> {
  const fail = (wanted: string, current = 'it is not'): never => {
    throw new UserError(`Cannot read ${where}: ${wanted}: ${current}`);
  };
  const count = (value: Value | undefined, what: string): number =>
    typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
      ? value
      : fail(`${what} must be a whole number of at least 0`);
  const counts = (value: Value | undefined, what: string): number[] =>
    Array.isArray(value) && value.length <= MOST_DIMENSIONS
      ? (value as Value[]).map((n) => count(n, what))
      : fail(`${what} must be a tuple of at most ${MOST_DIMENSIONS} numbers`);

  const rebuild = (args: readonly Value[]): TorchTensor => {
    const [storage, offset, size, stride] = args;
    if (!(storage instanceof Storage)) return fail('a tensor must have a storage');
    const shape = counts(size, "a tensor's size");
    const strides = counts(stride, "a tensor's stride");
    if (strides.length !== shape.length) fail('a tensor must have a stride for every dimension');
    const tensor = new TorchTensor(storage, count(offset, "a tensor's offset"), shape, strides);
    const last = shape.reduce((sum, n, i) => sum + (n - 1) * strides[i]!, tensor.offset);
    if (!shape.includes(0) && last >= storage.length) {
      fail(
        `a tensor ${formatShape(shape)} must lie within its storage "${storage.key}" of ${storage.length} values`,
        `it reaches value ${last}`,
      );
    }
    return tensor;
  };
  const parameter = ([data]: readonly Value[]): Value =>
    data instanceof TorchTensor ? data : fail('a parameter must be a tensor');

  return {
    constant: (name) => byGlobal.get(name),
    calls: new Map<string, (args: readonly Value[]) => Value>([
      ['torch._utils._rebuild_tensor_v2', rebuild],
      ['torch._utils._rebuild_tensor', rebuild],
      ['torch._utils._rebuild_parameter', parameter],
    ]),
    /** ('storage', class, key, device, length[, view]), `torch/serialization.py`, `persistent_load`. */
    persistent(id) {
      const [kind, type, key, , length, view] = Array.isArray(id) ? (id as Value[]) : [];
      if (kind !== 'storage' || !(type instanceof StorageClass) || typeof key !== 'string')
        return fail('what lies outside of its pickle must be storages of numbers');
      const whole = count(length, "a storage's length");
      const { bytes } = type.type;
      if ((storages.get(key) ?? bytes) !== bytes) fail(`storage "${key}" must be of one type`);
      storages.set(key, bytes);
      if (view === undefined || view === null) return new Storage(key, type.type, 0, whole);
      const [, start, part] = Array.isArray(view) ? (view as Value[]) : [];
      const [from, values] = [count(start, "a view's start"), count(part, "a view's length")];
      if (from + values > whole) fail('a view must lie within its storage');
      return new Storage(key, type.type, from, values);
    },
  };
}

/** `float32`-like name for messages. */
export function storageName({ storage }: TorchTensor): string {
  return storage.type.name;
}

export function isFloat({ storage }: TorchTensor): boolean {
  return storage.type.isFloat;
}

/**
 * The values of a tensor in row-major order, as float32. Its size is what its shape says, whatever its storage: compare the
 * shape with the wanted one first.
 */
export function readTorchTensor(
  { storage, offset, shape, strides }: TorchTensor,
  bytesOf: StorageBytes,
  littleEndian: boolean,
): Tensor {
  const { type, key, start, length } = storage;
  const bytes = bytesOf(key, (start + length) * type.bytes);
  const data = new Float32Array(sizeOf(shape));
  if (type.name === 'FloatStorage' && littleEndian && isContiguous(shape, strides)) {
    const from = (start + offset) * type.bytes;
    new Uint8Array(data.buffer).set(bytes.subarray(from, from + data.byteLength));
    return tensor(shape, data);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const index = new Array<number>(shape.length).fill(0);
  let at = start + offset;
  for (let i = 0; i < data.length; i++) {
    data[i] = type.read(view, at * type.bytes, littleEndian);
    for (let dim = shape.length - 1; dim >= 0; dim--) {
      at += strides[dim]!;
      if (++index[dim]! < shape[dim]!) break;
      at -= strides[dim]! * shape[dim]!;
      index[dim] = 0;
    }
  }
  return tensor(shape, data);
}

/** Whether values lie in row-major order; where a dimension is 1 its stride means nothing. */
function isContiguous(shape: Shape, strides: readonly number[]): boolean {
  let wanted = 1;
  for (let dim = shape.length - 1; dim >= 0; dim--) {
    if (shape[dim] !== 1 && strides[dim] !== wanted) return false;
    wanted *= shape[dim]!;
  }
  return true;
}
