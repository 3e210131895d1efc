/** Quantised files: what they compute, at every level, and that ONNX Runtime computes it in integers. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadRuntime } from '../../../src/engine/onnxruntime/runtime.js';
import { subnetModel } from '../../../src/export/exportSubnet.js';
import { calibrate } from '../../../src/export/int8/calibrate.js';
import { quantizeModel, tensorsToCalibrate } from '../../../src/export/int8/quantizeModel.js';
import { chooseRange } from '../../../src/export/int8/ranges.js';
import { OPTIMIZATION_LEVELS, verificationImages, verifyModel } from '../../../src/export/verify.js';
import { decodeModel, readOnnx } from '../../../src/lowering/readOnnx.js';
import { onnx } from '../../../src/lowering/onnxProto.js';
import { UserError } from '../../../src/util/errors.js';
import type { Tensor } from '../../../src/util/tensor.js';
import { shippedSpace, smallSpace } from '../../support/spaces.js';
import { randomStatistics, randomSupernet } from '../spaces.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ofakit-int8-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function logitsOf(
  bytes: Uint8Array,
  images: Tensor,
  level: (typeof OPTIMIZATION_LEVELS)[number] = 'all',
  optimizedModelFilePath?: string,
): Promise<Float32Array> {
  const runtime = await loadRuntime();
  const session = await runtime.InferenceSession.create(bytes, {
    graphOptimizationLevel: level,
    intraOpNumThreads: 1,
    logSeverityLevel: 4,
    ...(optimizedModelFilePath === undefined ? {} : { optimizedModelFilePath }),
  });
  const { logits } = await session.run({ input: new runtime.Tensor('float32', images.data, images.shape) });
  await session.release();
  return logits!.data as Float32Array;
}

function cosine(a: Float32Array, b: Float32Array): number {
  const dot = (x: Float32Array, y: Float32Array): number => x.reduce((sum, v, i) => sum + v * y[i]!, 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

async function quantised(
  float: Uint8Array,
  images: readonly Tensor[],
  reduceRange = false,
): Promise<Uint8Array> {
  const histograms = await calibrate(float, tensorsToCalibrate(float), () => images);
  const ranges = new Map([...histograms].map(([name, h]) => [name, chooseRange(h, 'mse')]));
  return quantizeModel(float, ranges, { reduceRange });
}

const typesOf = (bytes: Uint8Array): string[] => decodeModel(bytes).graph!.node!.map(({ opType }) => opType!);
const amount = (types: readonly string[], type: string): number => types.filter((t) => t === type).length;

describe.each(['largest', 'smallest'] as const)('mbv3-tiny, %s', (which) => {
  const space = shippedSpace('mbv3-tiny');
  const arch = space[which];
  const statistics = randomStatistics(space, arch, 'int8');
  const float = subnetModel({ space, weights: randomSupernet(space, 'int8'), arch, statistics });
  const shape = [1, 1, arch.imageSize, arch.imageSize];
  const seen = Array.from({ length: 12 }, (_, i) => verificationImages(shape, i));
  const unseen = verificationImages(shape, 100);

  it.each([false, true])('computes nearly the same at all levels; reduced range: %s', async (reduceRange) => {
    const bytes = await quantised(float, seen, reduceRange);
    const wanted = await logitsOf(float, unseen);
    for (const level of OPTIMIZATION_LEVELS)
      expect(cosine(await logitsOf(bytes, unseen, level), wanted)).toBeGreaterThan(0.99);
    const weights = decodeModel(bytes).graph!.initializer!.filter(
      ({ dataType, dims }) => dataType === onnx.TensorProto.DataType.INT8 && dims!.length > 1,
    );
    const largest = Math.max(
      ...weights.map(({ rawData }) =>
        Math.max(...new Int8Array(Uint8Array.from(rawData!).buffer).map(Math.abs)),
      ),
    );
    expect(largest).toBe(reduceRange ? 63 : 127);
  });

  it('is verified, its own reading included, and says what the float file says', async () => {
    const bytes = await quantised(float, seen);
    const { passed, problems, paths, metadata } = await verifyModel(bytes, { images: unseen });
    expect(problems).toEqual([]);
    expect(paths.map(({ path }) => path)).toContain('ofakit float64');
    expect(passed).toBe(true);
    const { sha256: _own, ...said } = metadata;
    const { sha256: _other, ...wanted } = (await verifyModel(float)).metadata;
    expect(said).toEqual(wanted);
    expect(bytes.length).toBeLessThan(float.length);
    // Rounding is in all of them, the reading included.
    const difference = await verifyModel(bytes, {
      images: unseen,
      expectedLogits: async () => ({ shape: [1, 10], data: await logitsOf(float, unseen) }),
    });
    for (const { maxAbsDifference } of difference.paths) expect(maxAbsDifference).toBeGreaterThan(0);
  });

  it('is computed in integers', async () => {
    const bytes = await quantised(float, seen);
    const path = join(folder, `${which}.onnx`);
    await logitsOf(bytes, unseen, 'all', path);
    const types = typesOf(await readFile(path));
    const before = typesOf(float);
    expect(amount(types, 'QLinearConv')).toBe(amount(before, 'Conv'));
    expect(amount(types, 'QGemm')).toBe(amount(before, 'Gemm'));
    expect(amount(types, 'QLinearAdd')).toBe(amount(before, 'Add'));
    expect(amount(types, 'QLinearMul')).toBe(amount(before, 'Mul'));
    expect(amount(types, 'QLinearGlobalAveragePool')).toBe(amount(before, 'GlobalAveragePool'));
    for (const type of ['Conv', 'Gemm', 'Relu', 'Add', 'GlobalAveragePool'])
      expect(types).not.toContain(type);
    expect(amount(before, 'Conv')).toBeGreaterThan(5);
  });

  it('is plain ONNX, without a float copy of the weights', async () => {
    const { graph, opsetImport } = decodeModel(await quantised(float, seen));
    expect(opsetImport.map(({ domain, version }) => [domain ?? '', Number(version)])).toEqual([['', 17]]);
    expect(graph!.node!.every(({ domain }) => (domain ?? '') === '')).toBe(true);
    const floats = graph!.initializer!.filter(({ dataType }) => dataType === onnx.TensorProto.DataType.FLOAT);
    expect(floats.every(({ dims }) => dims!.length <= 1)).toBe(true);
  });
});

describe('degenerate networks', () => {
  const space = smallSpace();
  const arch = space.largest;
  const statistics = randomStatistics(space, arch, 'degenerate');

  function spoilt(spoil: (name: string, data: Float32Array) => void): Uint8Array {
    const model = decodeModel(
      subnetModel({ space, weights: randomSupernet(space, 'degenerate'), arch, statistics }),
    );
    for (const proto of model.graph!.initializer!) {
      const data = new Float32Array(Uint8Array.from(proto.rawData!).buffer);
      if (proto.dataType === onnx.TensorProto.DataType.FLOAT) spoil(proto.name!, data);
      proto.rawData = new Uint8Array(data.buffer);
    }
    return onnx.ModelProto.encode(model).finish();
  }

  it.each([
    [
      'a channel without weights in every layer',
      (name: string, data: Float32Array) => {
        if (name.endsWith('weight')) data.fill(0, 0, Math.min(9, data.length));
      },
    ],
    [
      'a layer without weights or bias: constant activations',
      (name: string, data: Float32Array) => {
        if (name.startsWith('stem')) data.fill(0);
      },
    ],
    [
      'weights far smaller than biases',
      (name: string, data: Float32Array) => {
        if (name.startsWith('stage0.block0') && name.endsWith('weight'))
          data.forEach((w, i) => (data[i] = w * 1e-12));
      },
    ],
  ])('%s', async (_what, spoil) => {
    const float = spoilt(spoil);
    const images = Array.from({ length: 4 }, (_, i) => verificationImages([1, 1, 24, 24], i));
    const bytes = await quantised(float, images);
    const [wanted, found] = [await logitsOf(float, images[0]!), await logitsOf(bytes, images[0]!)];
    expect(found.every(Number.isFinite)).toBe(true);
    expect(cosine(wanted, found)).toBeGreaterThan(0.99);
    expect((await verifyModel(bytes, { images: images[0]! })).passed).toBe(true);
  });

  it('refuses what cannot be quantised', async () => {
    const float = spoilt(() => undefined);
    const images = [verificationImages([1, 1, 24, 24])];
    const twice = await quantised(float, images);
    expect(() => tensorsToCalibrate(twice)).toThrow('it is quantised already');
    expect(() => quantizeModel(float, new Map())).toThrow('the range of every activation is wanted');
    await expect(quantised(float, [])).rejects.toThrow('at least one image');
    const broken = spoilt((name, data) => {
      if (name.startsWith('stem')) data.fill(NaN);
    });
    await expect(quantised(broken, images)).rejects.toThrow('must be finite');
  });

  it.each([
    ['another scale', Float32Array.of(0.5), 'must be those that its input was quantised with'],
    ['a negative scale', undefined, 'the scale must be positive numbers'],
  ])('are not read with %s', async (_what, replacement, message) => {
    const model = decodeModel(
      await quantised(
        spoilt(() => undefined),
        [verificationImages([1, 1, 24, 24])],
      ),
    );
    const { node, initializer } = model.graph!;
    if (replacement !== undefined) {
      const dequantize = node!.find(
        ({ opType, input }) => opType === 'DequantizeLinear' && input![0] === 'input/quantized',
      )!;
      const { FLOAT } = onnx.TensorProto.DataType;
      initializer!.push({
        name: 'other',
        dims: [],
        dataType: FLOAT,
        rawData: new Uint8Array(replacement.buffer),
      });
      dequantize.input![1] = 'other';
    } else {
      const scale = initializer!.find(({ name }) => name!.endsWith('weight/scale'))!;
      scale.rawData = new Uint8Array(
        Float32Array.from({ length: scale.rawData!.length / 4 }, () => -1).buffer,
      );
    }
    const bytes = onnx.ModelProto.encode(model).finish();
    expect(() => readOnnx(bytes)).toThrow(UserError);
    expect(() => readOnnx(bytes)).toThrow(message);
  });
});
