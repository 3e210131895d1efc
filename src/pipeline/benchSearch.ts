/** `ofa bench search`: strategies on a table of networks, seed by seed, kept in a file as they come. */
import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { TabularBenchmark } from '../accuracy/benchmarks/tabular.js';
import { oneHotEncoder } from '../accuracy/encoding.js';
import { accuracyPredictorByName } from '../accuracy/predictors/index.js';
import type { Engine } from '../engine/engine.js';
import {
  canBeJudged,
  runOnTask,
  summariseRuns,
  tabularTask,
  type StrategyFigures,
  type StrategyRun,
} from '../search/benchmark.js';
import type { StrategyDefinition } from '../search/strategy.js';
import { strategies, strategyByName } from '../search/strategies/index.js';
import { UserError } from '../util/errors.js';
import { appendJsonLine, dropTornLine, readJsonLines } from '../util/files.js';
import { withFileLock } from '../util/lock.js';
import type { Logger } from '../util/logger.js';
import { predictorRegressor } from './regressors.js';

/** Of strategies with a model that name none. */
const REGRESSOR = 'gp';

const headerSchema = z.strictObject({
  format: z.literal('ofakit.search-benchmark/1'),
  /** Of the table's networks and their values. */
  table: z.strictObject({
    name: z.string().min(1),
    networks: z.number().int().positive(),
    sha256: z.string(),
  }),
  axis: z.string().min(1),
  queries: z.array(z.number().int().positive()).nonempty(),
  frontQueries: z.number().int().positive(),
  /** `preferred`: what each strategy prefers. */
  predictor: z.string().min(1),
});
type Header = z.infer<typeof headerSchema>;

const runSchema = z.strictObject({
  strategy: z.string().min(1),
  seed: z.number().int().nonnegative(),
  regretPoints: z.array(z.number().nonnegative()),
  hypervolumeShare: z.number().nonnegative().nullable(),
  cpuSeconds: z.number().nonnegative(),
});
export const searchBenchmarkSchema = z.union([headerSchema, runSchema]);

interface TimedRun extends StrategyRun {
  readonly cpuSeconds: number;
}

export interface BenchSearchRequest {
  readonly table: TabularBenchmark;
  /** What fronts trade accuracy against: a value of the table. */
  readonly axis: string;
  /** Names; random search is run beside them always. Default: all that can be judged on a table. */
  readonly strategies?: readonly string[];
  readonly queries: readonly number[];
  /** Share of the table that a search for a front may ask for, in (0, 1]. */
  readonly frontShare: number;
  /** Seeds 0 to this - 1. */
  readonly seeds: number;
  /** Guesses accuracies for strategies with a surrogate. Default: what each prefers. */
  readonly predictor?: string;
  readonly engine: Engine;
  /** Where runs are kept, and what is there is not done again. */
  readonly file?: string;
  readonly logger: Logger;
  readonly signal?: AbortSignal;
}

export interface TimedFigures extends StrategyFigures {
  /** Of this process, mean of the seeds. */
  readonly cpuSecondsPerSeed: number;
}

export interface BenchSearchReport {
  readonly table: string;
  readonly networks: number;
  readonly axis: string;
  readonly strategies: readonly TimedFigures[];
}

/**
 * A row a strategy, random search first. Seed by seed through all strategies, so that one that is stopped has about as many
 * seeds of each. Throws UserError for an unknown strategy, one that a table cannot judge, and a file of another benchmark
 * or that another process writes; the signal's reason when what is done is in the file.
 */
export function benchSearch(request: BenchSearchRequest): Promise<BenchSearchReport> {
  if (request.file === undefined) return benchAlone(request);
  const purpose = { action: 'keep searches in', instead: 'give another --out' };
  return withFileLock(request.file, purpose, () => benchAlone(request));
}

/** With the lock of the file. */
async function benchAlone(request: BenchSearchRequest): Promise<BenchSearchReport> {
  const { table, axis, queries, frontShare, seeds, predictor, engine, file, logger, signal } = request;
  const definitions = chosen(request.strategies);
  const task = tabularTask(table, axis);
  const frontQueries = Math.max(1, Math.floor(frontShare * task.networks));
  const header: Header = {
    format: 'ofakit.search-benchmark/1',
    table: { name: task.name, networks: task.networks, sha256: tableSha256(table) },
    axis,
    queries: [queries[0]!, ...queries.slice(1)],
    frontQueries,
    predictor: predictor ?? 'preferred',
  };
  const encoder = oneHotEncoder(table);
  const regressorFor = ({ preferredSurrogate = REGRESSOR }: StrategyDefinition) =>
    predictorRegressor(accuracyPredictorByName(predictor ?? preferredSurrogate), encoder, engine);
  const wanted = definitions.map(({ name }) => name);
  const runs = (file === undefined ? [] : await openRuns(file, header)).filter(
    ({ strategy, seed }) => wanted.includes(strategy) && seed < seeds,
  );
  const done = new Set(runs.map(({ strategy, seed }) => `${strategy} ${seed}`));
  const progress = logger.progress('Strategies', definitions.length * seeds);
  try {
    for (let seed = 0; seed < seeds; seed++) {
      for (const strategy of definitions) {
        if (done.has(`${strategy.name} ${seed}`)) continue;
        signal?.throwIfAborted();
        const before = process.cpuUsage();
        const run = await runOnTask(task, {
          strategy,
          seed,
          queries,
          frontQueries,
          regressor: regressorFor(strategy),
          engine,
          ...(signal === undefined ? {} : { signal }),
        });
        const { user, system } = process.cpuUsage(before);
        const timed = { ...run, cpuSeconds: (user + system) / 1e6 };
        if (file !== undefined) await appendJsonLine(file, timed);
        runs.push(timed);
        progress.update(runs.length, `${strategy.name}, seed ${seed}`);
      }
    }
  } finally {
    progress.stop();
  }
  const figures = figuresOf(runs, queries, frontQueries);
  figures.sort((a, b) => wanted.indexOf(a.strategy) - wanted.indexOf(b.strategy));
  return { table: task.name, networks: task.networks, axis, strategies: figures };
}

function figuresOf(
  runs: readonly TimedRun[],
  queries: readonly number[],
  frontQueries: number,
): TimedFigures[] {
  return summariseRuns(runs, queries, frontQueries).map((figures) => {
    const seconds = runs.filter(({ strategy }) => strategy === figures.strategy).map((run) => run.cpuSeconds);
    return { ...figures, cpuSecondsPerSeed: seconds.reduce((sum, own) => sum + own, 0) / seconds.length };
  });
}

/** Random search first. */
function chosen(names: readonly string[] | undefined): StrategyDefinition[] {
  const all = names?.map(strategyByName) ?? [...strategies.values()].filter(canBeJudged);
  const refused = all.find((strategy) => !canBeJudged(strategy));
  if (refused !== undefined) {
    throw new UserError(
      `Cannot judge strategy "${refused.name}" on a table: ${refused.exact ? 'it lists every network' : 'it evaluates on a share of the validation images, of which a table knows nothing'}`,
    );
  }
  return [...new Set([strategyByName('random'), ...all])];
}

function tableSha256({ entries }: TabularBenchmark): string {
  const hash = createHash('sha256');
  for (const { architecture, values } of entries) hash.update(JSON.stringify([architecture, values]));
  return hash.digest('hex');
}

/** The runs of the file; begins it where there is none. Throws UserError for a file of another benchmark, or a damaged one. */
async function openRuns(path: string, header: Header): Promise<TimedRun[]> {
  await dropTornLine(path);
  const [first, ...lines] = await readJsonLines(path, searchBenchmarkSchema);
  if (first === undefined) await appendJsonLine(path, header);
  else if (!('format' in first))
    throw new UserError(`Cannot use ${path}, line 1: it must say which benchmark it is of: it is a run`);
  else {
    for (const key of Object.keys(header) as (keyof Header)[]) {
      if (isDeepStrictEqual(first[key], header[key])) continue;
      throw new UserError(
        `Cannot go on with ${path}: its ${key} must be ${JSON.stringify(header[key])}: it is ${JSON.stringify(first[key])}; choose another file, or delete it`,
      );
    }
  }
  return lines.map((line, i) => {
    if (!('format' in line) && line.regretPoints.length === header.queries.length) return line;
    throw new UserError(
      `Cannot use ${path}, line ${i + 2}: it must be a run with ${header.queries.length} regrets: it is not`,
    );
  });
}

/** A line a strategy; `-` where there is no figure. */
export function strategyTable({ strategies: rows }: BenchSearchReport): {
  readonly header: string[];
  readonly lines: string[][];
} {
  const queries = rows[0]?.regretPoints.map((figure) => figure.queries) ?? [];
  const front = rows.find(({ hypervolumeShare }) => hypervolumeShare !== null)?.hypervolumeShare?.queries;
  return {
    header: [
      'strategy',
      'seeds',
      ...queries.map((count) => `regret, ${count} queries`),
      ...(front === undefined ? [] : [`hypervolume, ${front} queries`]),
      'beats random',
      'CPU s a seed',
    ],
    lines: rows.map((row) => [
      row.strategy,
      String(row.seeds),
      ...row.regretPoints.map(({ mean }) => mean.toFixed(3)),
      ...(front === undefined ? [] : [row.hypervolumeShare?.mean.toFixed(4) ?? '-']),
      beats(row),
      row.cpuSecondsPerSeed.toFixed(2),
    ]),
  };
}

/** `yes`, or where it does not, and how. */
function beats({ beatsRandom, regretPoints, hypervolumeShare }: StrategyFigures): string {
  if (beatsRandom === null) return '-';
  if (beatsRandom) return 'yes';
  const figures = [
    ...regretPoints.map((figure) => ({ ...figure, at: `at ${figure.queries}` })),
    ...(hypervolumeShare === null ? [] : [{ ...hypervolumeShare, at: 'in hypervolume' }]),
  ];
  return figures
    .filter(({ againstRandom }) => againstRandom !== 'better')
    .map(({ againstRandom, at }) => `${String(againstRandom)} ${at}`)
    .join(', ');
}
