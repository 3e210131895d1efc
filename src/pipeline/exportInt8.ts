/** `ofa export --int8`: a subnet as a quantised file, and what that costs and gains: measured, not promised. */
import type { Split } from '../data/dataset.js';
import type { Loader } from '../data/loader.js';
import { measureModels } from '../device/measure.js';
import type { DeviceProfile } from '../device/profile.js';
import type { Protocol } from '../device/protocol.js';
import { subnetModel, verifiedModel, type ExportRequest, type ExportResult } from '../export/exportSubnet.js';
import { calibrate, type CalibrationImages } from '../export/int8/calibrate.js';
import { quantizeModel, tensorsToCalibrate } from '../export/int8/quantizeModel.js';
import { chooseRange, type RangeMethod } from '../export/int8/ranges.js';
import { requirePassed, verifyModel } from '../export/verify.js';
import { writeAtomic } from '../util/files.js';
import type { Logger } from '../util/logger.js';
import { fractionStandardError, pairedStandardError } from '../util/standardError.js';
import { scoreModel, type ModelScore } from './scoreModel.js';

export interface Int8Request extends Omit<ExportRequest, 'accuracy' | 'latency' | 'tolerance'> {
  readonly batch: number;
  readonly loader: Loader;
  /** Training images that ranges of activations are taken from. */
  readonly images: number;
  readonly method: RangeMethod;
  readonly reduceRange: boolean;
  /** Where both files are timed. */
  readonly device: DeviceProfile;
  readonly protocol: Protocol;
  readonly seed: number;
  readonly logger: Logger;
}

export interface ModelFigures {
  readonly sizeBytes: number;
  /** Fraction. */
  readonly top1: number;
  readonly top1StandardError: number;
  /** Of a run of the file's batch; null where it could not be measured. */
  readonly latencyMs: number | null;
}

export interface Int8Result extends ExportResult {
  readonly int8: {
    readonly method: RangeMethod;
    readonly reduceRange: boolean;
    readonly calibrationImages: number;
    /** `test`, or `validation` where there is no test part. */
    readonly split: Split;
    /** Of the split, that both were scored on. */
    readonly images: number;
    readonly device: string;
    readonly float: ModelFigures;
    readonly quantised: ModelFigures;
    /** Part of the split's images that both files put into the same class. */
    readonly agreement: number;
    /** Accuracy that quantising costs, a fraction; below 0 where it gains. */
    readonly lossTop1: number;
    /** Of the loss: both files saw the same images. */
    readonly lossTop1StandardError: number;
  };
}

const BATCH = 50;

/** Quantising that costs so much is worth a warning: usual are a few tenths of a point. */
const MUCH = 0.02;

interface Loss {
  readonly top1: number;
  readonly standardError: number;
}

function lossOf(before: ModelScore, after: ModelScore): Loss {
  const only = (one: ModelScore, other: ModelScore): number =>
    one.hits.filter((hit, i) => hit && !other.hits[i]).length;
  return {
    top1: before.top1 - after.top1,
    standardError: pairedStandardError(only(before, after), only(after, before), before.count),
  };
}

const figures = ({ top1, count }: ModelScore): Pick<ModelFigures, 'top1' | 'top1StandardError'> => ({
  top1,
  top1StandardError: fractionStandardError(top1, count),
});

function lossWarning(
  path: string,
  { top1, standardError }: Loss,
  split: Split,
  images: number,
  { method, reduceRange }: Pick<Int8Request, 'method' | 'reduceRange'>,
): string {
  const others = (['mse', 'percentile', 'min-max'] satisfies RangeMethod[]).filter((one) => one !== method);
  const helps = [
    `--int8-ranges ${others.join(' or ')}`,
    'more --int8-images',
    ...(reduceRange ? [] : ['--int8-reduce-range on processors without VNNI']),
    'the float file',
  ];
  return `${path} loses ${(100 * top1).toFixed(1)} ± ${(100 * standardError).toFixed(1)} points of top-1 on ${images} ${split} images by quantising; what may help: ${helps.join(', ')}`;
}

/**
 * Verifies the float model against the supernet, quantises it, verifies that the quantised one computes the same on every
 * optimisation level, compares the two and writes the quantised one. Throws UserError where one does not hold.
 */
export async function exportInt8(request: Int8Request): Promise<Int8Result> {
  const { arch, outPath, batch, loader, images, method, reduceRange, device, protocol, seed, logger } =
    request;
  const size = arch.imageSize;
  const float = (await verifiedModel(request)).bytes;
  // One open batch serves calibration and scoring; what is quantised, and how, does not depend on it.
  const open = subnetModel({ ...request, batch: 'dynamic' });
  const calibration: CalibrationImages = async function* () {
    for await (const { images: batchImages } of loader.calibrationBatches(images, BATCH, size, seed))
      yield batchImages;
  };
  const histograms = await calibrate(open, tensorsToCalibrate(open), calibration);
  const ranges = new Map([...histograms].map(([name, h]) => [name, chooseRange(h, method)]));
  const quantise = (model: Uint8Array): Uint8Array => quantizeModel(model, ranges, { reduceRange });

  const split = loader.dataset.splitSize('test') > 0 ? 'test' : 'validation';
  const score = (model: Uint8Array): ReturnType<typeof scoreModel> =>
    scoreModel(model, loader.evaluationBatches(split, size, BATCH));
  const [before, after] = [await score(open), await score(quantise(open))];
  const loss = lossOf(before, after);
  const measured = await measureModels(
    device,
    [
      { id: 'float', onnx: float },
      { id: 'int8', onnx: quantise(float) },
    ],
    protocol,
    { seed, logger, label: `Measuring float and int8 on ${device.name}` },
  );
  const latencyMs = (id: string): number | null => measured.get(id)?.latencyMs ?? null;

  const ownLatency = latencyMs('int8');
  const bytes = quantise(
    subnetModel({
      ...request,
      accuracy: { top1: after.top1, split, dataset: loader.dataset.name },
      ...(ownLatency === null ? {} : { latency: [{ device: device.name, latencyMs: ownLatency, batch }] }),
    }),
  );
  const verification = await verifyModel(bytes, { where: outPath, mostBytes: Infinity });
  requirePassed(verification, outPath);
  await writeAtomic(outPath, bytes);
  if (loss.top1 >= MUCH) logger.warn(lossWarning(outPath, loss, split, before.count, request));
  return {
    path: outPath,
    sizeBytes: bytes.length,
    verification,
    int8: {
      method,
      reduceRange,
      calibrationImages: Math.min(images, loader.dataset.splitSize('train')),
      split,
      images: before.count,
      device: device.name,
      float: { sizeBytes: float.length, ...figures(before), latencyMs: latencyMs('float') },
      quantised: { sizeBytes: bytes.length, ...figures(after), latencyMs: ownLatency },
      lossTop1: loss.top1,
      lossTop1StandardError: loss.standardError,
      agreement: before.answers.filter((answer, i) => answer === after.answers[i]).length / before.count,
    },
  };
}
