/** Writes what `torch.save` writes, of dicts, strings, numbers and tensors: to test the reader without PyTorch. */
import { crc32, deflateRawSync } from 'node:zlib';

export type StorageName =
  'FloatStorage' | 'DoubleStorage' | 'HalfStorage' | 'BFloat16Storage' | 'LongStorage';

export interface WrittenStorage {
  readonly type: StorageName;
  readonly length: number;
  readonly bytes: Uint8Array;
}

/** A view of a storage; several may share one. */
export class WrittenTensor {
  constructor(
    readonly storage: WrittenStorage,
    readonly shape: readonly number[],
    readonly strides: readonly number[] = rowMajor(shape),
    readonly offset = 0,
    readonly isParameter = false,
  ) {}
}

/** A call of any global: what an attacker would write. */
export class WrittenCall {
  constructor(
    readonly module: string,
    readonly name: string,
    readonly args: readonly Writable[],
  ) {}
}

export type Writable =
  | null
  | boolean
  | number
  | string
  | WrittenTensor
  | WrittenCall
  | readonly Writable[]
  | ReadonlyMap<string, Writable>;

export function rowMajor(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = step;
    step *= shape[i]!;
  }
  return strides;
}

export function floatStorage(values: ArrayLike<number>): WrittenStorage {
  const data = Float32Array.from(values);
  return { type: 'FloatStorage', length: data.length, bytes: new Uint8Array(data.buffer) };
}

export function longStorage(values: readonly number[]): WrittenStorage {
  const data = BigInt64Array.from(values.map(BigInt));
  return { type: 'LongStorage', length: data.length, bytes: new Uint8Array(data.buffer) };
}

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

/** Protocol 2, as `torch.save` writes by default; without a memo, which nothing but size needs. */
class Pickler {
  private readonly parts: Buffer[] = [];
  readonly storages: WrittenStorage[] = [];

  constructor(private readonly legacy: boolean) {}

  private op(...bytes: (number | Buffer | string)[]): void {
    for (const part of bytes) {
      if (typeof part === 'number') this.parts.push(Buffer.of(part));
      else this.parts.push(typeof part === 'string' ? Buffer.from(part, 'utf8') : part);
    }
  }

  write(value: Writable): void {
    if (value === null) this.op('N');
    else if (typeof value === 'boolean') this.op(value ? 0x88 : 0x89);
    else if (typeof value === 'string') this.op('X', uint32(Buffer.byteLength(value)), value);
    else if (typeof value === 'number') this.number(value);
    else if (value instanceof WrittenTensor) this.tensor(value);
    else if (value instanceof WrittenCall) {
      this.global(value.module, value.name);
      this.tuple(value.args);
      this.op('R');
    } else if (value instanceof Map) this.orderedDict(value);
    else {
      this.op(']', '(');
      for (const item of value as readonly Writable[]) this.write(item);
      this.op('e');
    }
  }

  private number(value: number): void {
    if (Number.isInteger(value) && Math.abs(value) < 2 ** 31) {
      if (value >= 0 && value < 256) this.op('K', value);
      else this.op('J', uint32(value >>> 0));
      return;
    }
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleBE(value);
    this.op('G', bytes);
  }

  private global(module: string, name: string): void {
    this.op(`c${module}\n${name}\n`);
  }

  private tuple(values: readonly Writable[]): void {
    this.op('(');
    for (const value of values) this.write(value);
    this.op('t');
  }

  private orderedDict(map: ReadonlyMap<string, Writable>): void {
    this.global('collections', 'OrderedDict');
    this.op(')', 'R', '(');
    for (const [key, value] of map) {
      this.write(key);
      this.write(value);
    }
    this.op('u');
    // State dicts carry versions of their modules as an attribute.
    this.op('}', '(');
    this.write('_metadata');
    this.op('}', 'u', 'b');
  }

  private tensor(tensor: WrittenTensor): void {
    const { storage, offset, shape, strides, isParameter } = tensor;
    let key = this.storages.indexOf(storage);
    if (key < 0) key = this.storages.push(storage) - 1;
    if (isParameter) {
      this.global('torch._utils', '_rebuild_parameter');
      this.op('(');
    }
    this.global('torch._utils', '_rebuild_tensor_v2');
    this.op('(', '(');
    this.write('storage');
    this.global('torch', storage.type);
    this.write(`${key}`);
    this.write('cpu');
    this.write(storage.length);
    if (this.legacy) this.op('N');
    this.op('t', 'Q');
    this.write(offset);
    this.tuple(shape);
    this.tuple(strides);
    this.op(0x89);
    this.global('collections', 'OrderedDict');
    this.op(')', 'R', 't', 'R');
    if (isParameter) this.op(0x89, 'N', 't', 'R');
  }

  finish(): Buffer {
    return Buffer.concat([Buffer.of(0x80, 2), ...this.parts, Buffer.from('.')]);
  }
}

export interface ZipPart {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly deflate?: boolean;
}

/** A zip archive; parts are stored as they are unless they say otherwise. */
export function writeZip(parts: readonly ZipPart[]): Buffer {
  const files: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const { name, bytes, deflate = false } of parts) {
    const packed = deflate
      ? deflateRawSync(bytes)
      : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(deflate ? 8 : 0, 4);
    common.writeUInt32LE(crc32(bytes), 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(bytes.length, 18);
    common.writeUInt16LE(Buffer.byteLength(name), 22);
    files.push(Buffer.from('PK\x03\x04', 'latin1'), common, Buffer.from(name), packed);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(at, 10);
    directory.push(Buffer.from('PK\x01\x02\x14\x00', 'latin1'), common, rest, Buffer.from(name));
    at += 30 + Buffer.byteLength(name) + packed.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(parts.length, 8);
  end.writeUInt16LE(parts.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...files, central, end]);
}

/** Parts of the archive that `torch.save(value)` writes; `deflate`: all but the pickle are packed. */
export function torchParts(
  value: Writable,
  options: { deflate?: boolean; byteOrder?: string } = {},
): ZipPart[] {
  const { deflate = false, byteOrder } = options;
  const pickler = new Pickler(false);
  pickler.write(value);
  const part = (name: string, bytes: Uint8Array): ZipPart => ({ name: `archive/${name}`, bytes, deflate });
  return [
    { ...part('data.pkl', pickler.finish()), deflate: false },
    ...(byteOrder === undefined ? [] : [part('byteorder', Buffer.from(byteOrder))]),
    ...pickler.storages.map(({ bytes }, i) => part(`data/${i}`, bytes)),
    part('version', Buffer.from('3\n')),
  ];
}

/** `torch.save(value)`, the zip format. */
export function writeTorchFile(
  value: Writable,
  options: { deflate?: boolean; byteOrder?: string } = {},
): Buffer {
  return writeZip(torchParts(value, options));
}

/** `torch.save(value, _use_new_zipfile_serialization=False)`, the format before PyTorch 1.6. */
export function writeLegacyTorchFile(value: Writable): Buffer {
  const pickled = (content: Writable): Buffer => {
    const pickler = new Pickler(true);
    pickler.write(content);
    return pickler.finish();
  };
  const pickler = new Pickler(true);
  pickler.write(value);
  const body = pickler.finish();
  const { storages } = pickler;
  const system = new Map<string, Writable>([
    ['protocol_version', 1001],
    ['little_endian', true],
  ]);
  return Buffer.concat([
    Buffer.from('80028a0a6cfc9c46f9206aa850192e', 'hex'),
    pickled(1001),
    pickled(system),
    body,
    pickled(storages.map((_, i) => `${i}`)),
    ...storages.flatMap(({ length, bytes }) => {
      const count = Buffer.alloc(8);
      count.writeBigInt64LE(BigInt(length));
      return [count, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)];
    }),
  ]);
}
