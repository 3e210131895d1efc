import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readStateDict, type StateDict } from '../../../src/supernet/import/stateDict.js';
import { encodeSafetensors } from '../../../src/supernet/safetensors.js';
import {
  floatStorage,
  longStorage,
  rowMajor,
  torchParts,
  writeLegacyTorchFile,
  writeTorchFile,
  writeZip,
  WrittenTensor,
  type StorageName,
  type Writable,
  type WrittenStorage,
} from '../../support/torchFile.js';

/** Shapes and values of every tensor. */
const contents = (state: StateDict): Map<string, { shape: readonly number[]; values: number[] }> =>
  new Map([...state].map(([name, t]) => [name, { shape: t.shape, values: [...t.read().data] }]));

const read = (value: Writable, options = {}): Promise<StateDict> =>
  readStateDict(writeTorchFile(value, options), 'w.pth');

const small = new WrittenTensor(floatStorage([1, -2, 3.5, 4, 5, 6]), [2, 3]);
const wanted = new Map([['a.weight', { shape: [2, 3], values: [1, -2, 3.5, 4, 5, 6] }]]);

/** A storage of numbers that `width` bytes hold, written by `write`. */
function storage(
  type: StorageName,
  width: number,
  values: readonly number[],
  write: (view: DataView, at: number, value: number) => void,
): WrittenStorage {
  const view = new DataView(new ArrayBuffer(values.length * width));
  values.forEach((value, i) => write(view, i * width, value));
  return { type, length: values.length, bytes: new Uint8Array(view.buffer) };
}

describe('checkpoints of PyTorch', () => {
  it.each([
    ['a bare state dict', new Map([['a.weight', small]])],
    [
      'one under "state_dict"',
      new Map<string, Writable>([
        ['epoch', 3],
        ['state_dict', new Map([['a.weight', small]])],
      ]),
    ],
    ['names behind "module."', new Map([['module.a.weight', small]])],
    ['parameters', new Map([['a.weight', new WrittenTensor(small.storage, [2, 3], [3, 1], 0, true)]])],
    [
      'batch norm counters, which are left out',
      new Map([
        ['a.weight', small],
        ['a.num_batches_tracked', new WrittenTensor(longStorage([5]), [])],
      ]),
    ],
  ])('%s', async (_, value) => {
    expect(contents(await read(value))).toEqual(wanted);
    expect(contents(await read(value, { deflate: true }))).toEqual(wanted);
    expect(contents(await readStateDict(writeLegacyTorchFile(value), 'w.pth'))).toEqual(wanted);
  });

  it('keeps "module." where not all names have it', async () => {
    const names = [
      ...(
        await read(
          new Map([
            ['module.a', small],
            ['b', small],
          ]),
        )
      ).keys(),
    ];
    expect(names).toEqual(['module.a', 'b']);
  });

  it('reads safetensors with the same names', async () => {
    const bytes = encodeSafetensors(
      new Map([['a.weight', { shape: [2, 3], data: Float32Array.from(wanted.get('a.weight')!.values) }]]),
    );
    expect(contents(await readStateDict(bytes, 'w.safetensors'))).toEqual(wanted);
  });

  it('reads numbers of every width, in either byte order', async () => {
    const values = [0, 1, -2, 0.5, 1024];
    const half = new Map([
      [0, 0],
      [1, 0x3c00],
      [-2, 0xc000],
      [0.5, 0x3800],
      [1024, 0x6400],
    ]);
    for (const little of [true, false]) {
      const state = new Map<string, Writable>(
        [
          storage('FloatStorage', 4, values, (v, at, x) => v.setFloat32(at, x, little)),
          storage('DoubleStorage', 8, values, (v, at, x) => v.setFloat64(at, x, little)),
          storage('HalfStorage', 2, values, (v, at, x) => v.setUint16(at, half.get(x)!, little)),
          storage('BFloat16Storage', 2, values, (v, at, x) => {
            const bits = new DataView(new ArrayBuffer(4));
            bits.setFloat32(0, x);
            v.setUint16(at, bits.getUint16(0), little);
          }),
        ].map((s) => [s.type, new WrittenTensor(s, [values.length])] as const),
      );
      const found = contents(await read(state, { byteOrder: little ? 'little' : 'big' }));
      for (const { values: data } of found.values()) expect(data).toEqual(values);
      expect(found.size).toBe(4);
    }
  });

  it('reads views of shared storages with any strides', async () => {
    const shapes = fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(shapes, fc.nat(3), fc.nat(1e6), async (shape, offset, order) => {
        // A permutation of the dimensions: what `permute` and `transpose` leave behind.
        const axes = shape
          .map((_, i) => i)
          .sort((a, b) => ((order >> (2 * a)) & 3) - ((order >> (2 * b)) & 3));
        const packed = rowMajor(axes.map((axis) => shape[axis]!));
        const strides = shape.map((_, axis) => packed[axes.indexOf(axis)]!);
        const size = shape.reduce((a, b) => a * b, 1);
        const shared = floatStorage(Array.from({ length: size + offset }, (_, i) => i));
        const state = new Map([
          ['view', new WrittenTensor(shared, shape, strides, offset)],
          ['all', new WrittenTensor(shared, [size + offset])],
        ]);
        const expected: number[] = [];
        const walk = (dim: number, at: number): void => {
          if (dim === shape.length) expected.push(at);
          else for (let i = 0; i < shape[dim]!; i++) walk(dim + 1, at + i * strides[dim]!);
        };
        walk(0, offset);
        const found = contents(await read(state));
        expect(found.get('view')).toEqual({ shape, values: expected });
        expect(found.get('all')!.values).toEqual(Array.from({ length: size + offset }, (_, i) => i));
      }),
      { numRuns: 60 },
    );
  });

  it('takes a tensor without values, and one that repeats a value', async () => {
    const one = floatStorage([7]);
    const state = new Map([
      ['none', new WrittenTensor(one, [0, 3])],
      ['many', new WrittenTensor(one, [2, 2], [0, 0])],
    ]);
    expect([...contents(await read(state)).values()]).toEqual([
      { shape: [0, 3], values: [] },
      { shape: [2, 2], values: [7, 7, 7, 7] },
    ]);
  });

  it('says what is wrong with a value that is no state dict', async () => {
    await expect(read(3)).rejects.toThrow('it must hold a state dict');
    await expect(read(new Map([['epoch', 3]]))).rejects.toThrow('"epoch" is none');
    await expect(read(new Map([['state_dict', 3]]))).rejects.toThrow('"state_dict" must be a dict');
  });

  it('says which part of an archive is missing or damaged', async () => {
    const parts = torchParts(new Map([['a', small]]));
    const without = await readStateDict(
      writeZip(parts.filter(({ name }) => !name.endsWith('data/0'))),
      'w.pth',
    );
    expect(() => without.get('a')!.read()).toThrow('its storage "0" must have 24 bytes: it is missing');
    await expect(readStateDict(writeZip([]), 'w.pth')).rejects.toThrow();
    await expect(
      readStateDict(writeZip([{ name: 'x/constants.pkl', bytes: Buffer.from('a') }]), 'w.pth'),
    ).rejects.toThrow('NAME/data.pkl');
    const bytes = writeZip(parts);
    bytes[bytes.indexOf(Buffer.from(small.storage.bytes))]! ^= 1;
    const damaged = await readStateDict(bytes, 'w.pth');
    expect(() => damaged.get('a')!.read()).toThrow('must have the checksum');
  });
});
