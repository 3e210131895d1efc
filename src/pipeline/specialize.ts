/**
 * `ofa specialize`: a table of devices and latency limits, a model in each cell. First every cell chooses (cell.ts). Then all
 * chosen models are measured on all devices, so that the user sees what specialising bought, and the choices are judged once more: a
 * model that does not keep its limit the second time makes way for the next, and one that was chosen for another device
 * and serves better here is taken. What stays is exported.
 */
import { join } from 'node:path';
import type { Loader } from '../data/loader.js';
import type { DeviceProfile } from '../device/profile.js';
import type { Protocol } from '../device/protocol.js';
import type { DeviceConnection } from '../device/transport.js';
import type { Engine } from '../engine/engine.js';
import { exportSubnet } from '../export/exportSubnet.js';
import { evaluateLatency } from '../latency/evaluate.js';
import { usualSpeedOf } from '../latency/fitted.js';
import { latencyFunction, type LatencyQuery } from '../latency/query.js';
import { rememberByKey, type BatchFunction } from '../search/quantity.js';
import type { SearchConstraints } from '../search/search.js';
import { toFile, type Architecture } from '../space/architecture.js';
import { networkCosts } from '../space/costs.js';
import type { SubnetEvaluator } from '../training/evaluator.js';
import { InfeasibleError, UserError } from '../util/errors.js';
import { writeJson } from '../util/files.js';
import type { Logger } from '../util/logger.js';
import { Cell, slowestMs, type Finalist, type Pool } from './cell.js';
import { FinalistJournal, FINALISTS_FILE } from './finalistJournal.js';
import { DeviceSessions, Finalists, type Measured } from './finalists.js';
import type { SupernetRun } from './run.js';
import {
  bestBorrowed,
  SPECIALIZATION_FILE,
  specializationFile,
  type DevicePredictions,
  type InfeasibleCell,
  type Specialization,
  type SpecializedModel,
} from './specialization.js';

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

/** By device and key of the architecture: ms, or absent. */
type Matrix = ReadonlyMap<string, Measured>;

/**
 * Writes the ONNX files and `specialization.json`. The same call goes on where one was stopped: what was scored and
 * measured is in `finalists.jsonl`. A cell whose limit is below the fastest subnet is left out, with a warning. Throws
 * InfeasibleError where all are, naming the latency; UserError for what cannot be measured or exported; InterruptedError
 * on `signal`.
 */
export async function specialize(request: SpecializeRequest): Promise<Specialization> {
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
    const { choices, infeasible } = await chooseAll(request, finalists);
    const matrix = await settle(request, finalists, choices);
    const models = await exportAll(request, finalists, choices, matrix);
    const result: Specialization = {
      space: run.space.name,
      dataset: loader.dataset.name,
      weightsSha256: run.weightsSha256,
      models,
      predictions: targets.flatMap(({ device }) => predictionsOf(device.name, models)),
      infeasible,
    };
    await writeJson(join(folder, SPECIALIZATION_FILE), specializationFile(result));
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

async function chooseAll(
  request: SpecializeRequest,
  finalists: Finalists,
): Promise<{ choices: Choice[]; infeasible: InfeasibleCell[] }> {
  const { run, targets, logger, seed, strategy, engine, constraints, signal } = request;
  const { finalists: count = FINALISTS } = request;
  const { space } = run;
  // Every cell asks about the same space: each architecture is predicted once.
  const predictAccuracy = rememberByKey(space.genes, request.predictAccuracy);
  const choices: Choice[] = [];
  const infeasible: InfeasibleCell[] = [];
  let reason: InfeasibleError | undefined;
  for (const target of targets) {
    const { device, latency } = target;
    const predictLatencyMs = target.predictLatencyMs ?? rememberByKey(space.genes, latencyFunction(latency));
    const pool: Pool = new Map();
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
        choices.push({ target, pool, cell, chosen: await cell.choose() });
      } catch (error) {
        if (!(error instanceof InfeasibleError)) throw error;
        reason ??= error;
        infeasible.push({ device: device.name, maxLatencyMs, reason: error.message });
      }
    }
  }
  if (choices.length === 0 && reason !== undefined) throw reason;
  for (const cell of infeasible)
    logger.warn(`No model for ${cell.maxLatencyMs} ms on ${cell.device}: ${cell.reason}`);
  return { choices, infeasible };
}

/** Measures the chosen models on all devices until no choice changes any more. */
async function settle(
  request: SpecializeRequest,
  finalists: Finalists,
  choices: readonly Choice[],
): Promise<Matrix> {
  for (let round = 1; ; round++) {
    const matrix = await measureChosen(request, finalists, choices);
    for (const { target, chosen } of choices) {
      const again = matrix.get(target.device.name)!.measurements.get(chosen.key);
      if (again !== undefined) chosen.again = again;
    }
    if (round === ROUNDS) return matrix;
    offerToOthers(choices, matrix);
    let changed = false;
    for (const choice of choices) {
      const chosen = await choice.cell.choose();
      if (chosen === choice.chosen) continue;
      choice.chosen = chosen;
      changed = true;
    }
    if (!changed) return matrix;
  }
}

async function measureChosen(
  { targets }: SpecializeRequest,
  finalists: Finalists,
  choices: readonly Choice[],
): Promise<Matrix> {
  const distinct = [...new Map(choices.map(({ chosen }) => [chosen.key, chosen.architecture])).values()];
  const matrix = new Map<string, Measured>();
  for (const { device } of targets)
    matrix.set(device.name, await finalists.measure(device, distinct, 'chosen'));
  return matrix;
}

/** A model that was chosen for another device is one more candidate, now that it was measured here. */
function offerToOthers(choices: readonly Choice[], matrix: Matrix): void {
  for (const { target, pool } of choices) {
    const { measurements } = matrix.get(target.device.name)!;
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
  try {
    return latency.architecture(arch).latencyMs;
  } catch (error) {
    if (error instanceof UserError) return null;
    throw error;
  }
}

async function exportAll(
  request: SpecializeRequest,
  finalists: Finalists,
  choices: readonly Choice[],
  matrix: Matrix,
): Promise<SpecializedModel[]> {
  const models: Omit<SpecializedModel, 'borrowed'>[] = [];
  for (const choice of choices) models.push(await exportChoice(request, finalists, choice, matrix));
  return models.map((model) => ({ ...model, borrowed: bestBorrowed(model, models) }));
}

async function exportChoice(
  { run, loader, targets, folder, logger }: SpecializeRequest,
  finalists: Finalists,
  { target, cell, chosen }: Choice,
  matrix: Matrix,
): Promise<Omit<SpecializedModel, 'borrowed'>> {
  const { space, weights } = run;
  const { device } = target;
  const { architecture, predictedTop1, predictedMs, validationTop1, key } = chosen;
  const measuredMs = slowestMs(chosen);
  if (!cell.keeps(chosen)) {
    logger.warn(
      `No subnet was measured within ${cell.maxLatencyMs} ms on ${device.name}; the closest is exported`,
    );
  }
  const measuredTop1 = await finalists.top1(architecture, 'test');
  const onDevices = targets.map((other) => ({
    device: other.device.name,
    predictedMs: predicted(other.latency, architecture),
    measuredMs: matrix.get(other.device.name)!.measurements.get(key)?.latencyMs ?? null,
  }));
  const onnx = join(folder, `${space.name}-${device.name}-${cell.maxLatencyMs}ms.onnx`);
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
    measuredTop1,
    macs,
    params,
    architecture: toFile(architecture),
    onnx,
    verification,
    finalists: cell.told(chosen),
    onDevices,
  };
}

/** Over all networks that were measured on the device; [] where none was. */
function predictionsOf(device: string, models: readonly SpecializedModel[]): DevicePredictions[] {
  const pairs = new Map<string, readonly [predictedMs: number, measuredMs: number]>();
  for (const { architecture, onDevices } of models) {
    const { predictedMs = null, measuredMs = null } = onDevices.find((on) => on.device === device) ?? {};
    if (predictedMs !== null && measuredMs !== null)
      pairs.set(JSON.stringify(architecture), [predictedMs, measuredMs]);
  }
  const counts = { kept: 0, broke: 0, missed: 0 };
  for (const { maxLatencyMs, finalists } of models.filter((model) => model.device === device)) {
    for (const { architecture, predictedMs, measuredMs, meetsLimit } of finalists) {
      pairs.set(JSON.stringify(architecture), [predictedMs, measuredMs]);
      if (predictedMs <= maxLatencyMs) counts[meetsLimit ? 'kept' : 'broke']++;
      else if (meetsLimit) counts.missed++;
    }
  }
  if (pairs.size === 0) return [];
  const { mape, within10Percent } = evaluateLatency(
    [...pairs.values()].map(([predictedMs]) => predictedMs),
    [...pairs.values()].map(([, measuredMs]) => measuredMs),
  );
  return [{ device, networks: pairs.size, mape, within10Percent, ...counts }];
}
