/** The messages that the build puts into dist/ are those of onnx-proto, over the protobufjs that users get. */
import fc from 'fast-check';
import onnxProto from 'onnx-proto';
import { describe, expect, it } from 'vitest';
import type { Onnx } from '../../src/lowering/onnxProto.js';
import { packagePath } from '../../src/util/scripts.js';

const bundled = ((await import(packagePath('dist/lowering/onnxProto.js'))) as { onnx: typeof onnxProto.onnx })
  .onnx;

const bytes = fc.uint8Array({ maxLength: 40 });
const name = fc.string({ maxLength: 12 });
const int = fc.integer();
const tensor = fc.record({
  name,
  dims: fc.array(int, { maxLength: 4 }),
  dataType: fc.constantFrom(1, 3, 7),
  rawData: bytes,
  floatData: fc.array(fc.float({ noNaN: true }), { maxLength: 4 }),
  int64Data: fc.array(int, { maxLength: 4 }),
});
const attribute = fc.record({
  name,
  type: fc.constantFrom(1, 2, 7),
  f: fc.float({ noNaN: true }),
  i: int,
  ints: fc.array(int),
  s: bytes,
});
const model: fc.Arbitrary<Onnx.IModelProto> = fc.record({
  irVersion: int,
  producerName: name,
  metadataProps: fc.array(fc.record({ key: name, value: name }), { maxLength: 3 }),
  opsetImport: fc.array(fc.record({ domain: name, version: int }), { maxLength: 2 }),
  graph: fc.record({
    name,
    initializer: fc.array(tensor, { maxLength: 3 }),
    node: fc.array(
      fc.record({
        opType: name,
        input: fc.array(name),
        output: fc.array(name),
        attribute: fc.array(attribute, { maxLength: 3 }),
      }),
      { maxLength: 3 },
    ),
  }),
});

describe('the messages in dist/', () => {
  it('are written as those of onnx-proto, byte for byte', () => {
    fc.assert(
      fc.property(model, (fields) => {
        const expected = onnxProto.onnx.ModelProto.encode(
          onnxProto.onnx.ModelProto.fromObject(fields),
        ).finish();
        const written = bundled.ModelProto.encode(bundled.ModelProto.fromObject(fields)).finish();
        expect(Buffer.from(written).equals(expected)).toBe(true);
        expect(bundled.ModelProto.decode(expected).toJSON()).toEqual(
          onnxProto.onnx.ModelProto.decode(expected).toJSON(),
        );
      }),
      { numRuns: 60 },
    );
  });

  it('refuse what is cut off', () => {
    const whole = bundled.ModelProto.encode({ producerName: 'ofakit', graph: { name: 'g' } }).finish();
    expect(() => bundled.ModelProto.decode(whole.subarray(0, whole.length - 1))).toThrow(RangeError);
  });
});
