/** No file crashes the reader, hangs it or makes it allocate what the file does not hold. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GraphBuilder, type Value } from '../../src/graph/graph.js';
import { activation } from '../../src/graph/operations/activation.js';
import { conv2d } from '../../src/graph/operations/conv.js';
import { add } from '../../src/graph/operations/elementwise.js';
import { slice } from '../../src/graph/operations/shape.js';
import { onnxTarget } from '../../src/lowering/onnx.js';
import { forInference } from '../../src/lowering/passes/forInference.js';
import { readOnnx } from '../../src/lowering/readOnnx.js';
import { UserError } from '../../src/util/errors.js';
import { sizeOf } from '../../src/util/tensor.js';
import { subnetGraph } from './subnetGraph.js';

describe('hostile files', () => {
  const whole = onnxTarget.lower(forInference(subnetGraph()), { metadata: { a: 'b' } });
  const tiny = ((): Uint8Array => {
    const b = new GraphBuilder();
    const x: Value = b.input('x', [1, 2, 4, 4]);
    const w = b.constant('w', [2, 2, 3, 3], new Float32Array(36).fill(1));
    const c = conv2d(b, x, w, { stride: 1, padding: 1, groups: 1 });
    b.output('y', slice(b, add(b, activation(b, c, 'relu6'), x), [0, 0, 0, 0], [1, 1, 1, 1]));
    return onnxTarget.lower(b.build());
  })();
  const readOrRefuse = (bytes: Uint8Array): void => {
    try {
      const { graph } = readOnnx(bytes);
      for (const { outputs } of graph.nodes)
        for (const { shape } of outputs) expect(sizeOf(shape)).toBeLessThanOrEqual(2 ** 28);
    } catch (error) {
      expect(error).toBeInstanceOf(UserError);
    }
  };

  it.each([
    ['a small one', tiny, 2000],
    ['a network', whole, 200],
  ])('%s with flipped bits is read or refused', (_what, bytes, numRuns) => {
    const flips = fc.array(fc.nat({ max: bytes.length * 8 - 1 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(flips, (bits) => {
        const copy = Uint8Array.from(bytes);
        for (const bit of bits) copy[bit >> 3]! ^= 1 << (bit & 7);
        readOrRefuse(copy);
      }),
      { numRuns },
    );
  });

  it('every truncation is read or refused', () => {
    for (let length = 0; length < tiny.length; length++) readOrRefuse(tiny.subarray(0, length));
    fc.assert(
      fc.property(fc.nat({ max: whole.length }), (length) => readOrRefuse(whole.subarray(0, length))),
      { numRuns: 200 },
    );
  });

  it('bytes without sense are refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(() => readOnnx(bytes)).toThrow(UserError);
      }),
      { numRuns: 500 },
    );
  });

  it('replaced and inserted bytes are read or refused', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: tiny.length }),
        fc.uint8Array({ maxLength: 12 }),
        fc.nat(12),
        (at, bytes, cut) => {
          readOrRefuse(Buffer.concat([tiny.subarray(0, at), bytes, tiny.subarray(at + cut)]));
        },
      ),
      { numRuns: 2000 },
    );
  });
});
