/**
 * `ofa specialize`: for every device and latency limit the most accurate subnet, exported. Predictors propose, reality
 * decides: the best predicted candidates are recalibrated, scored on validation data and measured on the device, and
 * only one that keeps its limit there is chosen.
 */
import { join } from 'node:path';
import type { LatencyMeasurement } from '../device/measurement.js';
import { measureModels } from '../device/measure.js';
import type { DeviceProfile } from '../device/profile.js';
import type { Protocol } from '../device/protocol.js';
import type { Loader } from '../data/loader.js';
import { exportSubnet, subnetModel } from '../export/exportSubnet.js';
import type { Verification } from '../export/verify.js';
import { latencyFunction, type LatencyQuery } from '../latency/query.js';
import { rememberByKey, type BatchFunction } from '../search/quantity.js';
import { search, type SearchConstraints, type SearchSolution } from '../search/search.js';
import { toFile, type ArchitectureFile } from '../space/architecture.js';
import { architectureKey } from '../space/canonical.js';
import { networkCosts } from '../space/costs.js';
import type { SubnetEvaluator } from '../training/evaluator.js';
import { InfeasibleError, UserError } from '../util/errors.js';
import type { Logger } from '../util/logger.js';
import type { Tensor } from '../util/tensor.js';
import type { SupernetRun } from './run.js';

export interface SpecializeTarget {
  readonly device: DeviceProfile;
  readonly latency: LatencyQuery;
  /** Answers of `latency` that a caller remembers. Default: asked, and remembered for this call. */
  readonly predictLatencyMs?: BatchFunction;
  readonly maxLatencyMs: readonly number[];
}

export interface SpecializeRequest {
  readonly run: SupernetRun;
  readonly loader: Loader;
  readonly evaluator: SubnetEvaluator;
  readonly predictAccuracy: BatchFunction;
  readonly targets: readonly SpecializeTarget[];
  /** Limits beside latency. */
  readonly constraints?: SearchConstraints;
  readonly protocol: Protocol;
  /** Folder of the ONNX files. */
  readonly folder: string;
  readonly strategy?: string;
  readonly seed: number;
  /** Candidates that are scored and measured for every cell. Default 4. */
  readonly finalists?: number;
  readonly logger: Logger;
  readonly signal?: AbortSignal;
}

/** One device and limit. Accuracies are fractions; `measuredTop1` is on test data, which nothing before has seen. */
export interface SpecializedModel {
  readonly device: string;
  readonly maxLatencyMs: number;
  readonly predictedMs: number;
  readonly measuredMs: number;
  readonly meetsLimit: boolean;
  readonly predictedTop1: number;
  readonly validationTop1: number;
  readonly measuredTop1: number;
  readonly macs: number;
  readonly params: number;
  readonly architecture: ArchitectureFile;
  /** Path of the file. */
  readonly onnx: string;
  readonly verification: Verification;
}

/** A candidate as it really is. */
interface Finalist extends SearchSolution {
  readonly statistics: ReadonlyMap<string, Tensor>;
  readonly validationTop1: number;
  readonly measurement: LatencyMeasurement;
}

const FINALISTS = 4;
/** How often a limit is tightened before the closest miss is taken. */
const ATTEMPTS = 4;

/**
 * Throws InfeasibleError where a limit is below the fastest subnet, naming its latency, and UserError for what cannot be
 * measured or exported.
 */
export async function specialize(request: SpecializeRequest): Promise<SpecializedModel[]> {
  const models: SpecializedModel[] = [];
  const known = new Map<string, Finalist>();
  const { genes } = request.run.space;
  // Every cell asks about the same space: each architecture is predicted once.
  const remembered = { ...request, predictAccuracy: rememberByKey(genes, request.predictAccuracy) };
  for (const target of request.targets) {
    const predictLatencyMs = target.predictLatencyMs ?? rememberByKey(genes, latencyFunction(target.latency));
    for (const maxLatencyMs of target.maxLatencyMs) {
      models.push(await specializeCell(remembered, target, maxLatencyMs, predictLatencyMs, known));
    }
  }
  return models;
}

async function specializeCell(
  request: SpecializeRequest,
  target: SpecializeTarget,
  maxLatencyMs: number,
  predictLatencyMs: BatchFunction,
  known: Map<string, Finalist>,
): Promise<SpecializedModel> {
  const { run, logger, seed, strategy } = request;
  const { space } = run;
  let limit = maxLatencyMs;
  let closest: Finalist | undefined;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    let result;
    try {
      result = await search({
        space,
        predictAccuracy: request.predictAccuracy,
        predictLatencyMs,
        constraints: { ...request.constraints, latencyMs: limit },
        seed,
        ...(strategy === undefined ? {} : { strategy }),
      });
    } catch (error) {
      // A tightened limit may be below anything there is; the limit that was asked for may not.
      if (attempt > 0 && error instanceof InfeasibleError) break;
      throw error;
    }
    const candidates = [...result.front]
      .sort((a, b) => b.accuracy - a.accuracy)
      .slice(0, request.finalists ?? FINALISTS);
    const finalists = await judge(request, target, candidates, known);
    const within = finalists.filter(({ measurement }) => measurement.latencyMs <= maxLatencyMs);
    if (within.length > 0) return finish(request, target, maxLatencyMs, mostAccurate(within));
    for (const finalist of finalists) {
      if (closest === undefined || finalist.measurement.latencyMs < closest.measurement.latencyMs)
        closest = finalist;
    }
    // By the least that predictions were too low, so that the next candidates are no slower than need be.
    const factor = Math.min(
      ...finalists.map(({ latencyMs, measurement }) => measurement.latencyMs / latencyMs!),
    );
    limit = Math.min(0.97 * limit, (0.99 * maxLatencyMs) / factor);
    logger.info(
      `Measured above ${maxLatencyMs} ms on ${target.device.name}; searching below ${limit.toFixed(3)} ms`,
    );
  }
  logger.warn(
    `No subnet was measured within ${maxLatencyMs} ms on ${target.device.name}; the closest is exported`,
  );
  return finish(request, target, maxLatencyMs, closest!);
}

const mostAccurate = (finalists: readonly Finalist[]): Finalist =>
  finalists.reduce((best, finalist) => (finalist.validationTop1 > best.validationTop1 ? finalist : best));

/** Recalibrates, scores and measures candidates; those seen before on that device are not measured again. */
async function judge(
  request: SpecializeRequest,
  { device }: SpecializeTarget,
  candidates: readonly SearchSolution[],
  known: Map<string, Finalist>,
): Promise<Finalist[]> {
  const { run, evaluator, protocol, seed, logger, signal } = request;
  const { space, weights } = run;
  const keyOf = ({ architecture }: SearchSolution): string =>
    `${device.name} ${architectureKey(space.genes, architecture)}`;
  const fresh = new Map(candidates.filter((c) => !known.has(keyOf(c))).map((c) => [keyOf(c), c]));
  const statistics = new Map<string, Map<string, Tensor>>();
  for (const [key, { architecture }] of fresh) statistics.set(key, await evaluator.calibrate(architecture));
  const failures: string[] = [];
  const measured = await measureModels(
    device,
    [...fresh].map(([id, { architecture }]) => ({
      id,
      onnx: () =>
        subnetModel({
          space,
          weights,
          arch: architecture,
          statistics: statistics.get(id)!,
          batch: device.batch,
        }),
    })),
    protocol,
    {
      seed,
      label: `Measuring finalists on ${device.name}`,
      logger,
      onFailure: (_id, reason) => void failures.push(reason),
      ...(signal === undefined ? {} : { signal }),
    },
  );
  const judged = candidates.some(
    (candidate) => measured.has(keyOf(candidate)) || known.has(keyOf(candidate)),
  );
  if (!judged)
    throw new UserError(
      `Cannot measure any candidate on ${device.name}: ${failures[0] ?? 'it gave no result'}`,
    );
  for (const [key, candidate] of fresh) {
    const measurement = measured.get(key);
    if (measurement === undefined) continue;
    const { top1 } = await evaluator.evaluate(candidate.architecture, 'validation', {
      statistics: statistics.get(key)!,
    });
    known.set(key, { ...candidate, statistics: statistics.get(key)!, validationTop1: top1, measurement });
  }
  return candidates
    .map((candidate) => known.get(keyOf(candidate)))
    .filter((finalist) => finalist !== undefined);
}

async function finish(
  { run, loader, evaluator, folder }: SpecializeRequest,
  { device, latency }: SpecializeTarget,
  maxLatencyMs: number,
  { architecture, accuracy, statistics, validationTop1, measurement }: Finalist,
): Promise<SpecializedModel> {
  const { space, weights } = run;
  const score = await evaluator.evaluate(architecture, 'test', { statistics });
  const onnx = join(folder, `${space.name}-${device.name}-${maxLatencyMs}ms.onnx`);
  const { verification } = await exportSubnet({
    space,
    weights,
    arch: architecture,
    statistics,
    outPath: onnx,
    batch: device.batch,
    classes: loader.dataset.classes,
    normalisation: loader.normalisation,
    accuracy: { top1: score.top1, split: 'test', dataset: loader.dataset.name },
    latency: [{ device: device.name, latencyMs: measurement.latencyMs, batch: device.batch }],
  });
  const { macs, params } = networkCosts(space.network(architecture));
  return {
    device: device.name,
    maxLatencyMs,
    predictedMs: latency.architecture(architecture).latencyMs,
    measuredMs: measurement.latencyMs,
    meetsLimit: measurement.latencyMs <= maxLatencyMs,
    predictedTop1: accuracy,
    validationTop1,
    measuredTop1: score.top1,
    macs,
    params,
    architecture: toFile(architecture),
    onnx,
    verification,
  };
}
