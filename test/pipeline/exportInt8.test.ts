/** A quantised export from a run on disk, and the figures that come with it. */
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadDevice } from '../../src/device/profile.js';
import { protocolByName } from '../../src/device/protocol.js';
import { subnetModel } from '../../src/export/exportSubnet.js';
import { verifyModel } from '../../src/export/verify.js';
import { exportInt8, type Int8Request } from '../../src/pipeline/exportInt8.js';
import { createEvaluator, openLoader, openRun, type SupernetRun } from '../../src/pipeline/run.js';
import { createRuntime } from '../../src/pipeline/runtime.js';
import { scoreModel } from '../../src/pipeline/scoreModel.js';
import { silentLogger } from '../../src/util/logger.js';
import type { Tensor } from '../../src/util/tensor.js';
import { fewDigits, makeRun } from '../cli/support/fixture.js';

let root: string;
let run: SupernetRun;
let request: Int8Request;
let statistics: Map<string, Tensor>;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'ofakit-export-int8-'));
  await makeRun(join(root, 'run'), fewDigits(join(root, 'digits'), 40));
  run = await openRun(join(root, 'run'));
  const loader = await openLoader(run.space, run.data, { batchSize: 1, seed: 0, workers: 0 });
  const runtime = await createRuntime({ threads: 1 });
  const arch = run.space.smallest;
  const evaluator = createEvaluator(run, loader, runtime, { calibrationImages: 100 });
  statistics = await evaluator.calibrate(arch);
  await runtime.dispose();
  request = {
    space: run.space,
    weights: run.weights,
    arch,
    statistics,
    outPath: join(root, 'int8.onnx'),
    batch: 1,
    classes: loader.dataset.classes,
    normalisation: loader.normalisation,
    loader,
    images: 60,
    method: 'mse',
    reduceRange: false,
    device: await loadDevice('local-cpu'),
    protocol: protocolByName('quick'),
    seed: 0,
    logger: silentLogger,
  };
});
afterAll(async () => {
  await request.loader.close();
  await rm(root, { recursive: true, force: true });
});

it('writes a file whose figures hold', async () => {
  const { path, sizeBytes, verification, int8 } = await exportInt8(request);
  const bytes = await readFile(path);
  expect(bytes.length).toBe(sizeBytes);
  expect(verification.passed).toBe(true);
  expect((await verifyModel(bytes)).passed).toBe(true);

  // Image by image, with the file itself.
  const { loader, arch } = request;
  const test = () => loader.evaluationBatches('test', arch.imageSize, 1);
  const own = await scoreModel(bytes, test(), 1);
  expect(own.count).toBe(loader.dataset.splitSize('test'));
  expect(int8.split).toBe('test');
  expect(int8.quantised).toMatchObject({ sizeBytes, top1: own.top1 });
  const float = subnetModel(request);
  const before = await scoreModel(float, test(), 1);
  expect(int8.float).toMatchObject({
    sizeBytes: expect.closeTo(float.length, -3) as number,
    top1: before.top1,
  });
  const same = own.answers.filter((answer, i) => answer === before.answers[i]).length;
  expect(int8.agreement).toBeCloseTo(same / own.count, 10);
  for (const { latencyMs } of [int8.float, int8.quantised]) expect(latencyMs).toBeGreaterThan(0);

  expect(verification.metadata).toMatchObject({
    accuracy: { top1: own.top1, split: 'test' },
    latency: [{ device: 'local-cpu', latencyMs: int8.quantised.latencyMs, batch: 1 }],
    classes: loader.dataset.classes,
  });
});

it('says by how much quantising costs accuracy, and warns where that is much', async () => {
  const { loader, arch } = request;
  // The float file is right about every image, and ranges are of images a hundred times as dark.
  const float = await scoreModel(
    subnetModel({ ...request, batch: 'dynamic' }),
    loader.evaluationBatches('test', arch.imageSize, 50),
    1,
  );
  const misled: typeof loader = Object.assign(Object.create(loader) as typeof loader, {
    evaluationBatches: async function* (...args: Parameters<typeof loader.evaluationBatches>) {
      let at = 0;
      for await (const batch of loader.evaluationBatches(...args)) {
        const labels = Int32Array.from(float.answers.slice(at, (at += batch.labels.length)));
        yield { ...batch, labels };
      }
    },
    calibrationBatches: async function* (...args: Parameters<typeof loader.calibrationBatches>) {
      for await (const batch of loader.calibrationBatches(...args)) {
        const { shape, data } = batch.images;
        yield { ...batch, images: { shape, data: data.map((value) => value / 100) } };
      }
    },
  });
  const warnings: string[] = [];
  const logger = { ...silentLogger, warn: (message: string) => void warnings.push(message) };
  const outPath = join(root, 'lossy.onnx');
  const { int8 } = await exportInt8({ ...request, loader: misled, logger, outPath });
  expect(int8.float).toMatchObject({ top1: 1, top1StandardError: 0.5 / (float.count + 1) });
  expect(int8.lossTop1).toBeCloseTo(1 - int8.quantised.top1, 12);
  expect(int8.lossTop1).toBeGreaterThan(0.02);
  const binomial = Math.sqrt((int8.quantised.top1 * (1 - int8.quantised.top1)) / float.count);
  // Only the float file is ever right alone.
  expect(int8.lossTop1StandardError).toBeCloseTo(binomial, 10);
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toMatch(
    /lossy\.onnx loses [\d.]+ ± [\d.]+ points .* on \d+ test images .*--int8-ranges/,
  );

  warnings.length = 0;
  const kept = await exportInt8({ ...request, logger, outPath: join(root, 'kept.onnx') });
  expect(warnings).toHaveLength(kept.int8.lossTop1 >= 0.02 ? 1 : 0);
});

it('sees training images alone when it looks for ranges', async () => {
  const asked: string[] = [];
  const { loader } = request;
  const watched: typeof loader = Object.assign(Object.create(loader) as typeof loader, {
    evaluationBatches: (...args: Parameters<typeof loader.evaluationBatches>) => {
      asked.push(args[0]);
      return loader.evaluationBatches(...args);
    },
    calibrationBatches: (...args: Parameters<typeof loader.calibrationBatches>) => {
      asked.push('calibration');
      return loader.calibrationBatches(...args);
    },
  });
  await exportInt8({ ...request, loader: watched, outPath: join(root, 'watched.onnx') });
  // Two passes for ranges, then both files are scored.
  expect(asked).toEqual(['calibration', 'calibration', 'test', 'test']);
});

it('writes nothing where the float model is wrong already', async () => {
  const outPath = join(root, 'never.onnx');
  const broken = new Map(
    [...statistics].map(([name, { shape, data }]) => [name, { shape, data: data.map(() => NaN) }]),
  );
  await expect(exportInt8({ ...request, statistics: broken, outPath })).rejects.toThrow('Cannot export to');
  expect(existsSync(outPath)).toBe(false);
});
