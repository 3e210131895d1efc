import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { duplicateKey } from '../../src/supernet/jsonKeys.js';
import {
  decodeSafetensors,
  encodeSafetensors,
  readSafetensors,
  writeSafetensors,
} from '../../src/supernet/safetensors.js';
import { UserError } from '../../src/util/errors.js';
import { tensor, type Tensor } from '../../src/util/tensor.js';

/** Any bits: NaNs of every payload, infinities, -0, subnormals. */
function bits(values: readonly number[]): Float32Array {
  return new Float32Array(Uint32Array.from(values).buffer);
}
const bitsOf = ({ data }: Tensor): number[] => [...new Uint32Array(data.slice().buffer)];

const names = fc
  .oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('__proto__', '10', '2', 'a.b', '', 'constructor', '"\\'),
  )
  .filter((name) => name !== '__metadata__');
const tensors = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 }).chain((shape) => {
  const size = shape.reduce((a, b) => a * b, 1);
  const word = fc.oneof(fc.constantFrom(0x7fc00001, 0xff800001, 0x80000000, 1), fc.nat(0xffffffff));
  return fc
    .array(word, { minLength: size, maxLength: size })
    .map((words): Tensor => ({ shape, data: bits(words) }));
});
const files = fc.record({
  tensors: fc.uniqueArray(fc.tuple(names, tensors), { selector: ([name]) => name, maxLength: 8 }),
  metadata: fc.dictionary(names, fc.string({ unit: 'binary' }), { maxKeys: 3, noNullPrototype: true }),
});

/** A file with the given header and data, not checked in any way. */
function file(header: string | object, data: ArrayLike<number> = [], declared?: number): Uint8Array {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header), 'utf8');
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(declared ?? text.length));
  return Buffer.concat([length, text, Uint8Array.from(data)]);
}
const f32 = (shape: number[], begin: number, end: number) => ({
  dtype: 'F32',
  shape,
  data_offsets: [begin, end],
});

describe('round trip', () => {
  it('keeps names, order, shapes, metadata and every bit', () => {
    fc.assert(
      fc.property(files, ({ tensors: list, metadata }) => {
        const bytes = encodeSafetensors(new Map(list), metadata);
        const content = decodeSafetensors(bytes, 'x');
        // Empty tensors share an offset with their neighbour: their order is free.
        const filled = list.filter(([, { data }]) => data.length > 0).map(([name]) => name);
        expect([...content.tensors].filter(([, { data }]) => data.length > 0).map(([name]) => name)).toEqual(
          filled,
        );
        expect(content.tensors.size).toBe(list.length);
        for (const [name, value] of list) {
          const read = content.tensors.get(name)!;
          expect(read.shape).toEqual(value.shape);
          expect(bitsOf(read)).toEqual(bitsOf(value));
        }
        expect(content.metadata).toEqual(metadata);
        // Aligned data, as the format asks of writers.
        expect(Number(Buffer.from(bytes).readBigUInt64LE()) % 8).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  it('writes the bytes that the format describes', () => {
    const bytes = encodeSafetensors(new Map([['a', tensor([2], Float32Array.of(1, -0))]]), { k: 'v' });
    const text = '{"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}';
    expect(Buffer.from(bytes)).toEqual(Buffer.from(file(text.padEnd(80), [0, 0, 0x80, 0x3f, 0, 0, 0, 0x80])));
  });

  it('stores a view, not the memory around it', () => {
    const whole = Float32Array.of(1, 2, 3, 4);
    const content = decodeSafetensors(
      encodeSafetensors(new Map([['v', tensor([2], whole.subarray(1, 3))]])),
      'x',
    );
    expect([...content.tensors.get('v')!.data]).toEqual([2, 3]);
  });

  it('reads from an unaligned part of a buffer', () => {
    const bytes = encodeSafetensors(new Map([['a', tensor([2], Float32Array.of(5, 6))]]));
    const shifted = new Uint8Array(bytes.length + 3);
    shifted.set(bytes, 3);
    expect([...decodeSafetensors(shifted.subarray(3), 'x').tensors.get('a')!.data]).toEqual([5, 6]);
  });

  it('refuses tensors that cannot be stored', () => {
    expect(() => encodeSafetensors(new Map([['__metadata__', tensor([1])]]))).toThrow(RangeError);
    expect(() => encodeSafetensors(new Map([['a', { shape: [3], data: new Float32Array(2) }]]))).toThrow(
      'shape [3] needs 3 values: there are 2',
    );
  });
});

describe('other dtypes', () => {
  const read = (dtype: string, data: ArrayLike<number>, count: number): number[] => {
    const header = { x: { dtype, shape: [count], data_offsets: [0, data.length] } };
    return [...decodeSafetensors(file(header, data), 'x').tensors.get('x')!.data];
  };
  const bytesOf = (typed: ArrayBufferView): Uint8Array =>
    new Uint8Array(typed.buffer, typed.byteOffset, typed.byteLength);

  it('F16: known values', () => {
    const half = Uint16Array.of(0x3c00, 0xc000, 0x7bff, 0x0001, 0x8000, 0x7c00, 0xfc00, 0x3555, 0x7e00);
    const values = read('F16', bytesOf(half), half.length);
    expect(values.slice(0, -1)).toEqual([1, -2, 65504, 2 ** -24, -0, Infinity, -Infinity, 1365 / 4096]);
    expect(values[8]).toBeNaN();
  });

  it('F16: all finite values ascend with their bits, 2^10 steps a binade', () => {
    const half = Uint16Array.from({ length: 0x7c00 }, (_, i) => i);
    const values = read('F16', bytesOf(half), half.length);
    expect(values.every((v, i) => i === 0 || v > values[i - 1]!)).toBe(true);
    for (let e = 1; e < 31; e++) expect(values[e << 10]).toBe(2 ** (e - 15));
  });

  it('BF16 is the upper half of F32', () => {
    const floats = Float32Array.of(1, -2.5, 3e38, -0, Infinity);
    const upper = Uint16Array.from(new Uint32Array(floats.buffer), (word) => word >>> 16);
    const truncated = [...new Uint32Array(floats.buffer)].map((word) => bits([word & 0xffff0000])[0]!);
    expect(read('BF16', bytesOf(upper), 5)).toEqual(truncated);
  });

  it('integers, F64 and BOOL', () => {
    expect(read('I64', bytesOf(BigInt64Array.of(-3n, 7n)), 2)).toEqual([-3, 7]);
    expect(read('I32', bytesOf(Int32Array.of(-70000)), 1)).toEqual([-70000]);
    expect(read('I16', bytesOf(Int16Array.of(-300)), 1)).toEqual([-300]);
    expect(read('I8', bytesOf(Int8Array.of(-3)), 1)).toEqual([-3]);
    expect(read('U8', [200], 1)).toEqual([200]);
    expect(read('F64', bytesOf(Float64Array.of(0.1)), 1)).toEqual([Math.fround(0.1)]);
    expect(read('BOOL', [1, 0], 2)).toEqual([1, 0]);
  });
});

describe('files that are not right', () => {
  const one = { a: f32([1], 0, 4) };
  const cases: [string, Uint8Array, string][] = [
    ['empty', new Uint8Array(0), 'starts with 8 bytes of header length: it has 0'],
    [
      'header longer than the file',
      file('{}', [], 50),
      'the header ends at byte 58: the file ends at 10; it is truncated',
    ],
    ['header too long', file('{}', [], 2 ** 40), 'not a safetensors file'],
    ['foreign (zip)', Buffer.from('PK\x03\x04 and so on, as a .pth starts'), 'not a safetensors file'],
    ['not JSON', file('{"a": '), 'the header must be JSON'],
    ['not UTF-8', Buffer.concat([file('', [], 2), Buffer.from([0xff, 0xfe])]), 'the header must be JSON'],
    ['not an object', file('[1]'), 'the header must be a JSON object'],
    ['null', file('null'), 'the header must be a JSON object'],
    [
      'name twice',
      file(
        '{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"\\u0061":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}',
      ),
      '"a" is there twice',
    ],
    [
      'no dtype',
      file({ a: { shape: [1], data_offsets: [0, 4] } }, [0, 0, 0, 0]),
      'tensor "a" must have dtype, shape and data_offsets',
    ],
    ['unknown dtype', file({ a: { ...one.a, dtype: 'F8' } }, [0, 0, 0, 0]), 'must be one of F32'],
    ['negative dimension', file({ a: f32([-1], 0, 4) }, [0, 0, 0, 0]), 'tensor "a"'],
    ['fraction', file({ a: f32([0.5], 0, 2) }, [0, 0]), 'tensor "a"'],
    [
      'size and offsets differ',
      file({ a: f32([2], 0, 4) }, [0, 0, 0, 0]),
      'of F32 [2] has 8 bytes: its offsets span 4',
    ],
    ['offsets descend', file({ a: f32([1], 4, 0) }, [0, 0, 0, 0]), 'its offsets span -4'],
    ['overflowing shape', file({ a: f32([2 ** 52, 2 ** 52], 0, 4) }, [0, 0, 0, 0]), 'its offsets span 4'],
    [
      'overlap',
      file({ a: f32([2], 0, 8), b: f32([1], 4, 8) }, new Array(8).fill(0)),
      'tensor "b" must start at 8: they start at 4, which overlaps',
    ],
    ['hole', file({ a: f32([1], 0, 4), b: f32([1], 8, 12) }, new Array(12).fill(0)), 'which leaves a hole'],
    [
      'data truncated',
      file(one, [0, 0, 0]),
      'the tensors have 4 bytes: the file has 3 of them; it is truncated',
    ],
    ['data too long', file(one, [0, 0, 0, 0, 0]), 'the tensors have 4 bytes: 1 more follow'],
    [
      'a shape of millions',
      file({ a: { dtype: 'F32', shape: new Array(3e6).fill('x'), data_offsets: [0, 4] } }),
      'at most 16 entries are wanted: there are 3000000',
    ],
    ['a long name', file({ ['n'.repeat(1001)]: f32([1], 0, 4) }), 'at most 1000 characters: one has 1001'],
    ['metadata of numbers', file({ __metadata__: { a: 1 } }), '"__metadata__" must map names to texts'],
  ];
  it.each(cases)('%s', (_, bytes, message) => {
    expect(() => decodeSafetensors(bytes, 'net.safetensors')).toThrow(UserError);
    expect(() => decodeSafetensors(bytes, 'net.safetensors')).toThrow(/^Cannot read net\.safetensors: /);
    expect(() => decodeSafetensors(bytes, 'net.safetensors')).toThrow(message);
  });

  it('any truncation is a UserError', () => {
    const bytes = encodeSafetensors(
      new Map([
        ['a', tensor([3], Float32Array.of(1, 2, 3))],
        ['b', tensor([2])],
      ]),
    );
    for (let end = 0; end < bytes.length; end++) {
      expect(() => decodeSafetensors(bytes.subarray(0, end), 'x')).toThrow(UserError);
    }
  });

  it('any damage is a UserError or a file that still fits together', () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(files, damage, ({ tensors: list, metadata }, changes) => {
        const bytes = Uint8Array.from(encodeSafetensors(new Map(list), metadata));
        for (const [where, value] of changes) bytes[where % bytes.length] = value;
        try {
          for (const { shape, data } of decodeSafetensors(bytes, 'x').tensors.values()) {
            expect(data.length).toBe(shape.reduce((a, b) => a * b, 1));
          }
        } catch (error) {
          expect(error).toBeInstanceOf(UserError);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('any bytes at all are a UserError or a file', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.string(), (data, header) => {
        for (const bytes of [data, file(header, data), file(`{${header}}`, data)]) {
          try {
            decodeSafetensors(bytes, 'x');
          } catch (error) {
            expect(error).toBeInstanceOf(UserError);
          }
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('duplicateKey', () => {
  it('finds nothing in what JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(duplicateKey(JSON.stringify(value, null, 1))).toBeUndefined();
      }),
    );
  });

  it('finds a key that is put in again, wherever and however it is spelt', () => {
    const spell = (key: string): string => {
      const units = Array.from({ length: key.length }, (_, i) => key.charCodeAt(i));
      return `"${units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')}"`;
    };
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1 }), fc.nat(), (object, pick) => {
        const keys = Object.keys(object);
        const key = keys[pick % keys.length]!;
        const text = `{"outer":[${JSON.stringify(object).slice(0, -1)},${spell(key)}:0}]}`;
        expect(duplicateKey(text)).toBe(key);
      }),
    );
  });
});

describe('files', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ofakit-safetensors-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('writes and reads, and names the file in errors', async () => {
    const path = join(folder, 'deep', 'net.safetensors');
    const value = tensor([2, 2], Float32Array.of(1, 2, 3, 4));
    await writeSafetensors(path, new Map([['w', value]]), { origin: 'test' });
    expect(await readdir(join(folder, 'deep'))).toEqual(['net.safetensors']);
    const content = await readSafetensors(path);
    expect(content.tensors.get('w')).toEqual(value);
    expect(content.metadata).toEqual({ origin: 'test' });
    await writeFile(path, 'short');
    await expect(readSafetensors(path)).rejects.toThrow(`Cannot read ${path}: a safetensors file starts`);
    await expect(readSafetensors(join(folder, 'none'))).rejects.toThrow('there is no such file');
  });
});
