/**
 * `ofa specialize`: a table of devices and latency limits, a model in each cell. First every cell searches until a network of
 * its own keeps the limit (cell.ts), then each chooses among all that was measured on its device. Then all
 * chosen models are measured on all devices, so that the user sees what specialising bought, and the choices are judged once more: a
 * model that does not keep its limit the second time makes way for the next, and one that was chosen for another device
 * and serves better here is taken. What stays is exported.
 */
import { join } from 'node:path';
import type { Loader } from '../data/loader.js';
import type { LatencyMeasurement } from '../device/measurement.js';
import type { DeviceProfile } from '../device/profile.js';
import type { Protocol } from '../device/protocol.js';
import type { DeviceConnection } from '../device/transport.js';
import type { Engine } from '../engine/engine.js';
import { exportSubnet } from '../export/exportSubnet.js';
import { usualSpeedOf } from '../latency/fitted.js';
import { latencyFunction, type LatencyQuery } from '../latency/query.js';
import { rememberByKey, type BatchFunction } from '../search/quantity.js';
import type { SearchConstraints } from '../search/search.js';
import { toFile, type Architecture } from '../space/architecture.js';
import { networkCosts } from '../space/costs.js';
import { parseArchitecture } from '../space/file.js';
import type { SubnetEvaluator } from '../training/evaluator.js';
import { InfeasibleError, UserError } from '../util/errors.js';
import { writeJson } from '../util/files.js';
import { withFolderLock } from '../util/lock.js';
import { warnOnce, type Logger } from '../util/logger.js';
import { Cell, slowestMs, type Finalist, type Pool } from './cell.js';
import { choiceDoubts, compareModels, type ExportedModel } from './compareModels.js';
import { overtaken, readEarlierCells } from './earlierCells.js';
import { FinalistJournal, FINALISTS_FILE } from './finalistJournal.js';
import { DeviceSessions, Finalists, type Measured } from './finalists.js';
import type { SupernetRun } from './run.js';
import {
  SPECIALIZATION_FILE,
  specializationFile,
  type EarlierCells,
  type InfeasibleCell,
  type Specialization,
} from './specialization.js';
import { noteSpecialization } from './specializations.js';
import { pathInside } from '../util/names.js';

export interface SpecializeTarget {
  readonly device: DeviceProfile;
  readonly latency: LatencyQuery;
  /** Answers of `latency` that a caller remembers. Default: asked, and remembered for this call. */
  readonly predictLatencyMs?: BatchFunction;
  readonly maxLatencyMs: readonly number[];
  /** Of the device, where the caller has one open. */
  readonly connection?: DeviceConnection;
}

export interface SpecializeRequest {
  readonly run: SupernetRun;
  readonly loader: Loader;
  readonly evaluator: Pick<SubnetEvaluator, 'settings' | 'calibrate' | 'evaluate'>;
  readonly predictAccuracy: BatchFunction;
  readonly targets: readonly SpecializeTarget[];
  /** Limits beside latency. */
  readonly constraints?: SearchConstraints;
  /** Key of the data (`RunDataset.dataKey`), which scores are kept by. Default: the run's own, unchanged. */
  readonly dataSha256?: string | undefined;
  readonly protocol: Protocol;
  /** Folder of the ONNX files, the journal and the result. */
  readonly folder: string;
  readonly strategy?: string;
  /** For strategies that fit networks of their own. */
  readonly engine?: Engine;
  readonly seed: number;
  /** Candidates that are scored and measured for every cell. Default 4. */
  readonly finalists?: number;
  readonly logger: Logger;
  readonly signal?: AbortSignal;
}

const FINALISTS = 4;
/** How often choices are judged by what was measured of them on all devices. They settle after one or two. */
const ROUNDS = 8;

interface Choice {
  readonly target: SpecializeTarget;
  readonly pool: Pool;
  readonly cell: Cell;
  chosen: Finalist;
}

/** By device and key of the architecture; absent where the device cannot run it. */
type Matrix = ReadonlyMap<string, Measured['measurements']>;

/**
 * Writes the ONNX files and `specialization.json`, in which the cells of earlier calls stay that are not asked for again. The
 * same call goes on where one was stopped: what was scored and measured is in `finalists.jsonl`. A cell whose limit is below the fastest subnet is left out, with a warning. Throws
 * InfeasibleError where all are, naming the latency; UserError for what cannot be measured or exported, and a folder that
 * another process writes into; InterruptedError on `signal`.
 */
export function specialize(request: SpecializeRequest): Promise<Specialization> {
  const purpose = { action: 'specialise into', instead: 'give another --out' };
  return withFolderLock(request.folder, purpose, () => specializeAlone(request));
}

/** As `specialize`, for who has the folder's lock. */
export async function specializeAlone(request: SpecializeRequest): Promise<Specialization> {
  const { run, loader, targets, folder, logger } = request;
  checkTargets(targets);
  const connections = targets.flatMap(({ device, connection }) =>
    connection === undefined ? [] : [[device.name, connection] as const],
  );
  const sessions = new DeviceSessions(new Map(connections), logger);
  try {
    const journal = await FinalistJournal.open(join(folder, FINALISTS_FILE));
    const disturbances = new Map(
      targets.flatMap(({ device, latency }) => {
        const disturbance = usualSpeedOf(latency.table)?.disturbance;
        return disturbance === undefined ? [] : [[device.name, disturbance] as const];
      }),
    );
    const finalists = new Finalists({ ...request, sessions, journal, disturbances });
    const { weightsSha256 } = run;
    const origin = { space: run.space.name, dataset: loader.dataset.name, weightsSha256 };
    const names = targets.map(({ device }) => device.name);
    const asked = targets.flatMap(({ device, maxLatencyMs }) =>
      maxLatencyMs.map((limit) => ({ device: device.name, maxLatencyMs: limit })),
    );
    const earlier = await readEarlierCells(folder, origin, asked, logger);
    const { choices, infeasible } = await chooseAll(request, finalists, earlier);
    const matrix = await settle(request, finalists, choices);
    const exported = await exportAll(request, finalists, choices, matrix);
    for (const doubt of choiceDoubts(exported, finalists.imageCount('validation'))) logger.warn(doubt);
    const result = { ...origin, ...compareModels(names, exported, earlier), infeasible };
    for (const { maxLatencyMs, device } of overtaken(earlier.models, exported))
      logger.warn(
        `The model for ${maxLatencyMs} ms on ${device} is of an earlier call, and less accurate on validation images than one for a tighter limit: give its limit again to choose anew`,
      );
    await writeJson(join(folder, SPECIALIZATION_FILE), specializationFile(result));
    await noteSpecialization(run.folder, folder);
    return result;
  } finally {
    await sessions.close();
  }
}

/** Throws UserError. */
function checkTargets(targets: readonly SpecializeTarget[]): void {
  const names = targets.map(({ device }) => device.name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice === undefined) return;
  throw new UserError(`Cannot specialise: each device must be given once: "${twice}" is given again`);
}

/** Networks that earlier calls chose for a device are candidates for other limits of it, too. */
async function addEarlier(
  { run, constraints, predictAccuracy }: SpecializeRequest,
  finalists: Finalists,
  { device, latency }: SpecializeTarget,
  pool: Pool,
  { models }: EarlierCells,
): Promise<void> {
  // Whether they keep limits beside latency is not known.
  if (constraints !== undefined) return;
  const architectures = models
    .filter((model) => model.device === device.name)
    .map(({ architecture }) => parseArchitecture(architecture, run.space, SPECIALIZATION_FILE));
  const distinct = new Map(architectures.map((arch) => [finalists.key(arch), arch]));
  if (distinct.size === 0) return;
  const { measurements } = await finalists.measure(device, [...distinct.values()], 'finalist');
  for (const [key, architecture] of distinct) {
    const measurement = measurements.get(key);
    const predictedMs = predicted(latency, architecture);
    if (measurement === undefined || predictedMs === null) continue;
    const predictedTop1 = (await predictAccuracy([architecture]))[0]!;
    const validationTop1 = await finalists.top1(architecture, 'validation');
    pool.set(key, {
      key,
      architecture,
      predictedTop1,
      validationTop1,
      predictedMs,
      measurement,
    });
  }
}

async function chooseAll(
  request: SpecializeRequest,
  finalists: Finalists,
  earlier: EarlierCells,
): Promise<{ choices: Choice[]; infeasible: InfeasibleCell[] }> {
  const { run, targets, seed, strategy, engine, constraints, signal } = request;
  // What a table leaves out is left out of every search by it.
  const logger = warnOnce(request.logger);
  const { finalists: count = FINALISTS } = request;
  const { space } = run;
  // Every cell asks about the same space: each architecture is predicted once.
  const predictAccuracy = rememberByKey(space.genes, request.predictAccuracy);
  const cells: Omit<Choice, 'chosen'>[] = [];
  const infeasible: InfeasibleCell[] = [];
  let reason: InfeasibleError | undefined;
  for (const target of targets) {
    const { device, latency } = target;
    const predictLatencyMs = target.predictLatencyMs ?? rememberByKey(space.genes, latencyFunction(latency));
    const pool: Pool = new Map();
    await addEarlier(request, finalists, target, pool, earlier);
    for (const maxLatencyMs of new Set(target.maxLatencyMs)) {
      const cell = new Cell({
        space,
        device,
        maxLatencyMs,
        predictAccuracy,
        predictLatencyMs,
        constraints,
        strategy,
        engine,
        seed,
        count,
        finalists,
        pool,
        logger,
        signal,
      });
      try {
        await cell.explore();
        cells.push({ target, pool, cell });
      } catch (error) {
        if (!(error instanceof InfeasibleError)) throw error;
        reason ??= error;
        infeasible.push({ device: device.name, maxLatencyMs, reason: error.message });
      }
    }
  }
  if (cells.length === 0 && reason !== undefined) throw reason;
  for (const cell of infeasible)
    logger.warn(`No model for ${cell.maxLatencyMs} ms on ${cell.device}: ${cell.reason}`);
  // Only now, so that each chooses among what was found for all limits of its device.
  return { choices: cells.map((one) => ({ ...one, chosen: one.cell.best()! })), infeasible };
}

/** Measures the chosen models on all devices until no choice changes any more. */
async function settle(
  request: SpecializeRequest,
  finalists: Finalists,
  choices: readonly Choice[],
): Promise<Matrix> {
  const measured = new Map<string, Map<string, LatencyMeasurement>>();
  for (let round = 1; ; round++) {
    const matrix = await measureChosen(request, finalists, choices);
    for (const [device, measurements] of matrix)
      measured.set(device, new Map([...(measured.get(device) ?? []), ...measurements]));
    for (const { target, chosen } of choices) {
      const again = matrix.get(target.device.name)!.get(chosen.key);
      if (again !== undefined) chosen.again = again;
    }
    offerToOthers(choices, matrix);
    const last = round === ROUNDS;
    let changed = false;
    for (const choice of choices) {
      if (!last) await choice.cell.explore();
      // At last only those that were measured on all devices may be taken.
      const chosen = choice.cell.best(last ? ({ again }) => again !== undefined : undefined) ?? choice.chosen;
      if (chosen === choice.chosen) continue;
      choice.chosen = chosen;
      changed = true;
    }
    if (last || !changed) return measured;
  }
}

async function measureChosen(
  { targets }: SpecializeRequest,
  finalists: Finalists,
  choices: readonly Choice[],
): Promise<Matrix> {
  const distinct = [...new Map(choices.map(({ chosen }) => [chosen.key, chosen.architecture])).values()];
  const matrix = new Map<string, Measured['measurements']>();
  for (const { device } of targets)
    matrix.set(device.name, (await finalists.measure(device, distinct, 'chosen')).measurements);
  return matrix;
}

/** A model that was chosen for another device is one more candidate, now that it was measured here. */
function offerToOthers(choices: readonly Choice[], matrix: Matrix): void {
  for (const { target, pool } of choices) {
    const measurements = matrix.get(target.device.name)!;
    for (const { chosen } of choices) {
      const { key, architecture, predictedTop1, validationTop1 } = chosen;
      const measurement = measurements.get(key);
      if (measurement === undefined || pool.has(key)) continue;
      const predictedMs = predicted(target.latency, architecture);
      if (predictedMs === null) continue;
      pool.set(key, { key, architecture, predictedTop1, validationTop1, predictedMs, measurement });
    }
  }
}

/** Null where the table cannot answer: one that was imported may lack an image size. */
function predicted(latency: LatencyQuery, arch: Architecture): number | null {
  return latency.lacks(arch) > 0 ? null : latency.architecture(arch).latencyMs;
}

async function exportAll(
  request: SpecializeRequest,
  finalists: Finalists,
  choices: readonly Choice[],
  matrix: Matrix,
): Promise<ExportedModel[]> {
  const models: ExportedModel[] = [];
  for (const choice of choices) models.push(await exportChoice(request, finalists, choice, matrix));
  return models;
}

async function exportChoice(
  { run, loader, targets, folder, logger }: SpecializeRequest,
  finalists: Finalists,
  { target, cell, chosen }: Choice,
  matrix: Matrix,
): Promise<ExportedModel> {
  const { space, weights } = run;
  const { device } = target;
  const { architecture, predictedTop1, predictedMs, validationTop1, key } = chosen;
  const measuredMs = slowestMs(chosen);
  if (!cell.keeps(chosen)) {
    logger.warn(
      `No subnet was measured within ${cell.maxLatencyMs} ms on ${device.name}; the closest is exported`,
    );
  }
  const { top1: measuredTop1, byClass = null } = await finalists.score(architecture, 'test');
  const onDevices = targets.map((other) => ({
    device: other.device.name,
    predictedMs: predicted(other.latency, architecture),
    measuredMs: matrix.get(other.device.name)!.get(key)?.latencyMs ?? null,
  }));
  const onnx = pathInside(folder, `${space.name}-${device.name}-${cell.maxLatencyMs}ms.onnx`);
  const { verification } = await exportSubnet({
    space,
    weights,
    arch: architecture,
    statistics: await finalists.statistics(architecture),
    outPath: onnx,
    batch: device.batch,
    classes: loader.dataset.classes,
    normalisation: loader.normalisation,
    accuracy: { top1: measuredTop1, split: 'test', dataset: loader.dataset.name },
    latency: [{ device: device.name, latencyMs: measuredMs, batch: device.batch }],
  });
  const { macs, params } = networkCosts(space.network(architecture));
  return {
    device: device.name,
    maxLatencyMs: cell.maxLatencyMs,
    predictedMs,
    measuredMs,
    meetsLimit: cell.keeps(chosen),
    predictedTop1,
    validationTop1,
    validationTop1StandardError: finalists.standardError(validationTop1, 'validation'),
    measuredTop1,
    measuredTop1StandardError: finalists.standardError(measuredTop1, 'test'),
    byClass,
    macs,
    params,
    architecture: toFile(architecture),
    onnx,
    verification,
    finalists: cell.told(chosen),
    onDevices,
    spare: cell.spare(chosen),
  };
}
