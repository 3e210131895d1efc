/** `ofa search`: subnets of a run by its predictors and by devices' tables, the best one or a whole front. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { oneHotEncoder } from '../accuracy/encoding.js';
import { accuracyPredictorByName } from '../accuracy/predictors/index.js';
import type { AccuracyPredictor } from '../accuracy/predictor.js';
import type { Engine } from '../engine/engine.js';
import type { FrontFile } from '../search/front.js';
import type { JournalHeader } from '../search/journal.js';
import { checkPick, pickPoint, type PickRule } from '../search/pick.js';
import { evaluateQuantity, type Constraint, type Quantity } from '../search/quantity.js';
import type { Found } from '../search/ledger.js';
import { searchObjectives } from '../search/search.js';
import { strategies } from '../search/strategies/index.js';
import { gainsOf } from '../search/strategy.js';
import { toFile, type Architecture } from '../space/architecture.js';
import type { SearchSpace } from '../space/space.js';
import { UserError } from '../util/errors.js';
import { readBytes } from '../util/files.js';
import { silentLogger, type Logger } from '../util/logger.js';
import { openAccuracyPredictor } from './accuracy.js';
import { predictedAccuracy } from './predictedAccuracy.js';
import { predictorRegressor } from './regressors.js';
import { runFiles, type SupernetRun } from './run.js';
import { SearchQuantities, type SearchDevice } from './searchQuantities.js';

/** A hard limit: at most, or at least where more is better. */
export interface SearchLimit {
  /** As in `SearchRunRequest.objectives`. */
  readonly quantity: string;
  readonly limit: number;
}

export interface SearchRunRequest {
  /** Absent: nothing is known of accuracies, and objectives must be given. */
  readonly run?: SupernetRun;
  /** What is searched. Default: the run's space. */
  readonly space?: SearchSpace;
  /** For the predictor, and what strategies fit. */
  readonly engine: Engine;
  /** None: nothing is known of latencies. */
  readonly devices: readonly SearchDevice[];
  /**
   * What is sought: `accuracy`, `latencyMs` (with several devices: that of each; `latencyMs.DEVICE`: of one), `macs`,
   * `params`, `modelBytes`, `peakActivationBytes` (as little as possible; `macs:max`: as much as possible), or the file of a
   * module (`OwnObjective`). Default: accuracy; for a front accuracy and latency, or MACs where there is no device.
   */
  readonly objectives?: readonly string[];
  readonly limits?: readonly SearchLimit[];
  /** Seeks the front of two or more objectives. Default: the best network in one. */
  readonly pareto?: boolean;
  /** Which network of a front is the best. Default: that which is best in the first objective. */
  readonly pick?: PickRule;
  readonly strategy?: string;
  readonly budget?: number;
  readonly seed: number;
  /** Kept while the search runs; it goes on from there. */
  readonly journal?: string;
  readonly logger?: Logger;
  readonly signal?: AbortSignal;
}

export interface FoundSubnet {
  readonly architecture: Architecture;
  /** By name: what was sought, then accuracy where the run has a predictor, latencies on all devices, costs, own limits. */
  readonly values: Readonly<Record<string, number>>;
}

export interface SearchRunResult {
  readonly strategy: string;
  /** Distinct networks whose objectives were asked. */
  readonly evaluated: number;
  readonly best: FoundSubnet;
  /** By the last objective, the best of it first. The best network alone where no front was sought. */
  readonly front: readonly FoundSubnet[];
  /** What the devices' tables cannot answer, so that it was not searched: a line for each. */
  readonly leftOut: readonly string[];
  /** Of `best`, where a rule chose it. */
  readonly picked?: { readonly rule: PickRule; readonly index: number };
  readonly objectives: readonly Quantity[];
  readonly constraints: readonly Constraint[];
}

/**
 * Throws InfeasibleError naming what is possible where nothing meets the limits; UserError for objectives that are not known
 * or do not fit the strategy, a front of fewer than two, a quantity that is limited twice, accuracies that are wanted without a
 * run or of a run without a predictor, and a journal of another search; RangeError where there is neither run nor space; the
 * signal's reason.
 */
export async function searchRun(request: SearchRunRequest): Promise<SearchRunResult> {
  const { run, engine, devices, limits = [], pareto = false } = request;
  const words = request.objectives ?? defaultObjectives(pareto, devices);
  const space = searchedSpace(request);
  const wanted = [...words, ...limits.map(({ quantity }) => quantity)];
  const predictor = await predictorFor(run, engine, wanted, request.logger);
  try {
    const accuracy = predictor && predictedAccuracy(predictor);
    const known = await SearchQuantities.create(space, devices, accuracy, wanted);
    const objectives = [...new Set(words.flatMap((word) => known.get(word)))];
    checkObjectives(objectives, request);
    const constraints = constraintsOf(limits, known);
    return await searchKnown(request, objectives, constraints, known);
  } finally {
    await predictor?.dispose();
  }
}

async function searchKnown(
  request: SearchRunRequest,
  objectives: readonly Quantity[],
  constraints: readonly Constraint[],
  known: SearchQuantities,
): Promise<SearchRunResult> {
  const { engine, devices, pareto = false, pick, strategy, budget, seed } = request;
  const { journal, logger, signal } = request;
  const space = searchedSpace(request);
  const { preferredSurrogate = 'gp' } = strategies.get(strategy ?? '') ?? {};
  const found = await searchObjectives({
    space,
    objectives,
    constraints,
    // The one device is told of what is found. Of several those count that are sought or limited.
    ...(devices.length === 1 && { known: known.get('latencyMs') }),
    seed,
    engine,
    regressor: predictorRegressor(accuracyPredictorByName(preferredSurrogate), oneHotEncoder(space), engine),
    ...(strategy !== undefined && { strategy }),
    ...(budget !== undefined && { budget }),
    ...(journal !== undefined && { journal: { path: journal, origin: await originOf(request) } }),
    ...(logger && { logger }),
    ...(signal && { signal }),
  });
  const { evaluated } = found;
  const list = pareto ? found.front : [found.best];
  const front = await describe(list, objectives, known.all());
  const gains = list.map(({ values }) => gainsOf(objectives, values));
  const mostOfFirst = gains.reduce((best, own, i) => (own[0]! > gains[best]![0]! ? i : best), 0);
  const index = pick === undefined ? mostOfFirst : pickPoint(pick, gains, objectives);
  return {
    strategy: found.strategy,
    evaluated,
    leftOut: found.leftOut,
    best: front[index]!,
    front,
    ...(pick !== undefined && { picked: { rule: pick, index } }),
    objectives,
    constraints,
  };
}

/** The front as it is written to a file. Throws RangeError for a result without networks. */
export function frontFile(
  request: Pick<SearchRunRequest, 'run' | 'space' | 'seed'>,
  { strategy, evaluated, objectives, constraints, picked, front }: SearchRunResult,
): FrontFile {
  const [first, ...others] = front.map(({ architecture, values }) => ({
    architecture: toFile(architecture),
    values: { ...values },
  }));
  const [objective, ...more] = objectives.map(({ name, unit, direction }) => ({ name, unit, direction }));
  if (first === undefined || objective === undefined)
    throw new RangeError('Cannot write the front: it is empty');
  return {
    format: 'ofakit.front/1',
    space: searchedSpace(request).name,
    strategy,
    seed: request.seed,
    evaluated,
    objectives: [objective, ...more],
    limits: constraints.map(({ quantity: { name }, limit }) => ({ name, limit })),
    ...(picked && { picked }),
    points: [first, ...others],
  };
}

function searchedSpace({ space, run }: Pick<SearchRunRequest, 'run' | 'space'>): SearchSpace {
  const searched = space ?? run?.space;
  if (searched === undefined)
    throw new RangeError('Cannot search: a run or a space is wanted: there is neither');
  return searched;
}

function defaultObjectives(pareto: boolean, devices: readonly SearchDevice[]): string[] {
  if (!pareto) return ['accuracy'];
  return ['accuracy', devices.length === 0 ? 'macs' : 'latencyMs'];
}

/** Undefined where the run has none and none is wanted. Throws UserError where one is. */
async function predictorFor(
  run: SupernetRun | undefined,
  engine: Engine,
  wanted: readonly string[],
  logger: Logger = silentLogger,
): Promise<AccuracyPredictor | undefined> {
  if (run === undefined) {
    if (!wanted.includes('accuracy')) return undefined;
    throw new UserError(
      'Cannot search by accuracy without a supernet: nothing predicts it; give --supernet, or other objectives ' +
        '(--objective macs:max seeks the network of most MACs within the limits)',
    );
  }
  if (wanted.includes('accuracy')) return openAccuracyPredictor(run, engine, { logger });
  if (!existsSync(runFiles(run.folder).accuracyPredictor)) return undefined;
  try {
    return await openAccuracyPredictor(run, engine, { logger });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    logger.warn(`Accuracies are not told: ${error.message}`);
    return undefined;
  }
}

function checkObjectives(
  objectives: readonly Quantity[],
  { pareto = false, pick }: Pick<SearchRunRequest, 'pareto' | 'pick'>,
): void {
  const names = objectives.map(({ name }) => name).join(', ');
  if (pareto && objectives.length < 2)
    throw new UserError(
      `Cannot search for a front: it trades two objectives or more: there is one, ${names}`,
    );
  if (!pareto && objectives.length > 1)
    throw new UserError(
      `Cannot search for the best in ${names}: only a front (--pareto) has several objectives`,
    );
  if (pick === undefined) return;
  if (!pareto)
    throw new UserError(`Cannot pick by ${pick}: only a front (--pareto) has networks to pick from`);
  checkPick(pick, objectives);
}

function constraintsOf(limits: readonly SearchLimit[], known: SearchQuantities): Constraint[] {
  const constraints = limits.flatMap(({ quantity, limit }) =>
    known.get(quantity).map((own) => ({ quantity: own, limit })),
  );
  for (const { quantity, limit } of constraints) {
    const { length } = constraints.filter((other) => other.quantity === quantity);
    if (length > 1)
      throw new UserError(`Cannot limit ${quantity.name} twice: one limit is wanted: there are ${length}`);
    if (!Number.isFinite(limit))
      throw new UserError(
        `Cannot limit ${quantity.name}: a finite number is wanted: current value is ${limit}`,
      );
  }
  return constraints;
}

/** What is known of the networks; measured quantities are not asked again. */
async function describe(
  list: readonly Found[],
  objectives: readonly Quantity[],
  all: readonly Quantity[],
): Promise<FoundSubnet[]> {
  const archs = list.map(({ architecture }) => architecture);
  const others = all.filter((quantity) => !objectives.includes(quantity) && quantity.chunk === undefined);
  const columns: ArrayLike<number>[] = [];
  for (const quantity of others) columns.push(await evaluateQuantity(quantity, archs));
  return list.map(({ architecture, values }, row) => ({
    architecture,
    values: Object.fromEntries([
      ...objectives.map(({ name }, i) => [name, values[i]!] as const),
      // Infinite: the table of a device that had no part in the search does not know it.
      ...others
        .map(({ name }, i) => [name, columns[i]![row]!] as const)
        .filter(([, value]) => Number.isFinite(value)),
    ]),
  }));
}

/** What answers in a search: a journal of other answers is refused. */
async function originOf(request: SearchRunRequest): Promise<JournalHeader['origin']> {
  const { run, devices } = request;
  const sha256 = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex');
  const accuracyPredictor = run && runFiles(run.folder).accuracyPredictor;
  return {
    ...(run === undefined
      ? { spaceSha256: sha256(JSON.stringify(searchedSpace(request).file)) }
      : { weightsSha256: run.weightsSha256 }),
    ...(accuracyPredictor !== undefined &&
      existsSync(accuracyPredictor) && {
        accuracyPredictorSha256: sha256(await readBytes(accuracyPredictor)),
      }),
    ...Object.fromEntries(
      devices.map(({ name, latency }) => [`latencyMs.${name}`, sha256(JSON.stringify(latency.table))]),
    ),
  };
}
