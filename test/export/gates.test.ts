/** Gates of squeeze-excite in exported files: the same numbers as in files of before, and no runtime takes them for hard-swish. */
import { describe, expect, it } from 'vitest';
import { loadRuntime } from '../../src/engine/onnxruntime/runtime.js';
import { subnetModel } from '../../src/export/exportSubnet.js';
import { calibrate } from '../../src/export/int8/calibrate.js';
import { quantizeModel, tensorsToCalibrate } from '../../src/export/int8/quantizeModel.js';
import { chooseRange } from '../../src/export/int8/ranges.js';
import { OPTIMIZATION_LEVELS, verificationImages, verifyModel } from '../../src/export/verify.js';
import { evaluate } from '../../src/graph/evaluate.js';
import { readOnnx } from '../../src/lowering/readOnnx.js';
import type { SearchSpace } from '../../src/space/space.js';
import type { Tensor } from '../../src/util/tensor.js';
import { gateSlopes, withGatesOfBefore } from '../support/gates.js';
import { openCvLogits, openCvVersion } from '../support/opencv.js';
import { shippedSpace, smallSpace, tinyResnet } from '../support/spaces.js';
import { randomStatistics, randomSupernet } from './spaces.js';

/** Every family, with and without squeeze-excite. */
const spaces: readonly (readonly [string, SearchSpace])[] = [
  ['mbv3-tiny', shippedSpace('mbv3-tiny')],
  ['ofa-mbv3', shippedSpace('ofa-mbv3', { imageSizes: [64], classes: 10 })],
  ['small', smallSpace()],
  ['ofa-proxyless, without', shippedSpace('ofa-proxyless', { imageSizes: [64], classes: 10 })],
  ['tiny-resnet, without', tinyResnet()],
];

function exported(space: SearchSpace): { readonly bytes: Uint8Array; readonly images: Tensor } {
  const arch = space.largest;
  const weights = randomSupernet(space, `gates ${space.name}`);
  const statistics = randomStatistics(space, arch, 'gates');
  const bytes = subnetModel({ space, weights, arch, statistics });
  return { bytes, images: imagesOf(space) };
}

const imagesOf = ({ largest, file }: SearchSpace): Tensor =>
  verificationImages([1, file.inputChannels, largest.imageSize, largest.imageSize]);

async function logitsOf(
  bytes: Uint8Array,
  images: Tensor,
  level: (typeof OPTIMIZATION_LEVELS)[number] = 'all',
): Promise<Float32Array> {
  const runtime = await loadRuntime();
  const session = await runtime.InferenceSession.create(bytes, {
    graphOptimizationLevel: level,
    intraOpNumThreads: 1,
    logSeverityLevel: 4,
  });
  const { logits } = await session.run({ input: new runtime.Tensor('float32', images.data, images.shape) });
  await session.release();
  return logits!.data as Float32Array;
}

/** Largest difference as a share of the largest value. */
function difference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const values = Array.from(b);
  const differences = values.map((value, i) => Math.abs(value - a[i]!));
  return Math.max(...differences) / Math.max(...values.map(Math.abs));
}

function cosine(a: Float32Array, b: Float32Array): number {
  const dot = (x: Float32Array, y: Float32Array): number => x.reduce((sum, v, i) => sum + v * y[i]!, 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

describe.each(spaces)('%s', (name, space) => {
  const gated = !name.includes('without');
  const { bytes, images } = exported(space);

  it('has gates that are not those of hard-swish', () => {
    const slopes = gateSlopes(bytes);
    expect(slopes.length > 0).toBe(gated);
    expect(new Set(slopes)).toEqual(new Set(gated ? [Math.fround(1 / 3)] : []));
  });

  it.runIf(gated)('computes to the last bit what files of before do, which verify still', async () => {
    const before = withGatesOfBefore(bytes);
    expect(new Set(gateSlopes(before))).toEqual(new Set([Math.fround(1 / 6)]));
    for (const level of OPTIMIZATION_LEVELS)
      expect(await logitsOf(bytes, images, level)).toEqual(await logitsOf(before, images, level));
    const read = (file: Uint8Array): ArrayLike<number> =>
      evaluate(readOnnx(file).graph, new Map([['input', images.data]])).get('logits')!.data;
    expect(difference(read(bytes), read(before))).toBeLessThan(1e-7);
    expect((await verifyModel(before)).problems).toEqual([]);
  });

  it.skipIf(openCvVersion === undefined)(`computes the same in OpenCV ${openCvVersion ?? ''}`, async () => {
    expect(difference(openCvLogits(bytes, images), await logitsOf(bytes, images))).toBeLessThan(1e-4);
  });

  // OpenCV 5.0 computes int8 files wrongly or not at all, those without gates too; 4.10 does, rounding otherwise.
  it.runIf(openCvVersion?.startsWith('4.'))('computes nearly the same in OpenCV in int8', async () => {
    const histograms = await calibrate(bytes, tensorsToCalibrate(bytes), () => [images]);
    const ranges = new Map([...histograms].map(([tensor, h]) => [tensor, chooseRange(h, 'mse')]));
    const quantised = quantizeModel(bytes, ranges, { reduceRange: true });
    expect(cosine(openCvLogits(quantised, images), await logitsOf(quantised, images))).toBeGreaterThan(0.9);
  });
});

describe.skipIf(openCvVersion === undefined)('in OpenCV', () => {
  it('gates of before are hard-swish: what half weights are for', async () => {
    const { bytes, images } = exported(smallSpace());
    const before = withGatesOfBefore(bytes);
    expect(difference(openCvLogits(before, images), await logitsOf(before, images))).toBeGreaterThan(0.01);
  });
});
