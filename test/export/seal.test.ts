/** Damaged files are found out by their hash; small files do not take gigabytes. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { seal } from '../../src/export/seal.js';
import { subnetModel } from '../../src/export/exportSubnet.js';
import { METADATA_KEYS } from '../../src/export/metadata.js';
import { quantizeModel, tensorsToCalibrate } from '../../src/export/int8/quantizeModel.js';
import { verifyModel } from '../../src/export/verify.js';
import { GraphBuilder } from '../../src/graph/graph.js';
import { activation } from '../../src/graph/operations/activation.js';
import { globalAveragePool } from '../../src/graph/operations/pool.js';
import { reshape } from '../../src/graph/operations/shape.js';
import { onnxTarget } from '../../src/lowering/onnx.js';
import { onnx } from '../../src/lowering/onnxProto.js';
import { decodeModel, readOnnx } from '../../src/lowering/readOnnx.js';
import { UserError } from '../../src/util/errors.js';
import { smallSpace } from '../support/spaces.js';
import { randomSupernet } from './spaces.js';

const space = smallSpace();
const float = subnetModel({ space, weights: randomSupernet(space, 'seal'), arch: space.largest });
const ranges = new Map(tensorsToCalibrate(float).map((name) => [name, { min: -4, max: 4 }]));
const int8 = quantizeModel(float, ranges);

it.each([
  ['a float file', float],
  ['an int8 file', int8],
])('%s matches its hash, and any changed weight is found out', async (_, bytes) => {
  expect(await verifyModel(bytes)).toMatchObject({ integrity: 'matches', problems: [] });
  const tensors = decodeModel(bytes).graph!.initializer!.filter(({ rawData }) => rawData!.length > 0);
  await fc.assert(
    fc.asyncProperty(fc.nat(tensors.length - 1), fc.nat(), fc.nat(7), async (which, at, bit) => {
      const model = decodeModel(bytes);
      const tensor = model.graph!.initializer!.find(({ name }) => name === tensors[which]!.name)!;
      const raw = Uint8Array.from(tensor.rawData!);
      raw[at % raw.length]! ^= 1 << bit;
      tensor.rawData = raw;
      try {
        const verification = await verifyModel(onnx.ModelProto.encode(model).finish());
        expect(verification).toMatchObject({ passed: false, integrity: 'differs' });
      } catch (error) {
        // A scale of 0, a shape that does not fit: not readable at all.
        expect(error).toBeInstanceOf(UserError);
      }
    }),
    { numRuns: 20 },
  );
});

it('a changed operator is found out, changed words about the file are not damage', async () => {
  const changed = decodeModel(float);
  const clip = changed.graph!.node!.find(({ opType }) => opType === 'Relu')!;
  clip.opType = 'HardSwish';
  expect(await verifyModel(onnx.ModelProto.encode(changed).finish())).toMatchObject({ integrity: 'differs' });
  const renamed = decodeModel(float);
  renamed.producerName = 'somebody';
  renamed.metadataProps.push({ key: 'note', value: 'mine' });
  expect(await verifyModel(onnx.ModelProto.encode(renamed).finish())).toMatchObject({ integrity: 'matches' });
});

it('a file of an older version has none, and passes', async () => {
  const model = decodeModel(float);
  model.metadataProps = model.metadataProps.filter(({ key }) => key !== METADATA_KEYS.sha256);
  const old = onnx.ModelProto.encode(model).finish();
  expect(await verifyModel(old)).toMatchObject({ integrity: 'no hash', passed: true });
  expect(await verifyModel(seal(seal(old)))).toMatchObject({ integrity: 'matches', passed: true });
});

it('a small file whose tensors together take gigabytes is refused before any is made', async () => {
  const b = new GraphBuilder();
  let x = b.input('input', [1, 4, 4096, 4096]);
  for (let i = 0; i < 20; i++) x = activation(b, x, 'relu');
  b.output('logits', reshape(b, globalAveragePool(b, x), [1, 4]));
  const bytes = onnxTarget.lower(b.build());
  expect(bytes.length).toBeLessThan(4000);
  const attempt = verifyModel(bytes, { where: 'small.onnx' });
  await expect(attempt).rejects.toThrow(UserError);
  await expect(attempt).rejects.toThrow(
    /^Cannot verify small\.onnx: its tensors may take 257 MiB for a file of this size: running it takes \d+ MiB$/,
  );
});

it('a constant that is dequantised over and over is refused while it is read', () => {
  const { DataType } = onnx.TensorProto;
  const size = 2 ** 18;
  const names = Array.from({ length: 64 }, (_, i) => `d${i}`);
  const tensorType = (dims: number[]) => ({
    tensorType: { elemType: DataType.FLOAT, shape: { dim: dims.map((dimValue) => ({ dimValue })) } },
  });
  const model = {
    irVersion: 8,
    opsetImport: [{ domain: '', version: 17 }],
    graph: {
      input: [{ name: 'input', type: tensorType([1]) }],
      output: [{ name: 'logits', type: tensorType([size]) }],
      initializer: [
        { name: 'w', dataType: DataType.INT8, dims: [size], rawData: new Uint8Array(size) },
        { name: 's', dataType: DataType.FLOAT, dims: [], rawData: new Uint8Array(Float32Array.of(1).buffer) },
      ],
      node: names.map((name) => ({ name, opType: 'DequantizeLinear', input: ['w', 's'], output: [name] })),
    },
  };
  const bytes = onnx.ModelProto.encode(model).finish();
  expect(() => readOnnx(bytes, { where: 'again.onnx' })).toThrow(
    /^Cannot read again\.onnx: .*again and again$/,
  );
});
