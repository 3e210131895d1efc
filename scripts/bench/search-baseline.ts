/**
 * npm run bench:search-baseline -- RUN_FOLDER TABLE [--queries 200] [--seeds 20] [--json]
 *
 * Evolution beside random search with the same number of accuracy predictions, on the predictors of a run, under limits
 * at several quantiles of its latency. Prints each one's predicted top-1, and against the exact optimum.
 */
import { parseArgs } from 'node:util';
import { accuracyFunction } from '../../src/accuracy/predictor.js';
import { latencyFunction, openLatencyTable, tableExamples } from '../../src/latency/query.js';
import { openAccuracyPredictor } from '../../src/pipeline/accuracy.js';
import { openRun } from '../../src/pipeline/run.js';
import { createRuntime } from '../../src/pipeline/runtime.js';
import { rememberByKey } from '../../src/search/quantity.js';
import { search } from '../../src/search/search.js';
import { describeMachine } from './support/machine.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    queries: { type: 'string', default: '200' },
    seeds: { type: 'string', default: '20' },
    json: { type: 'boolean', default: false },
  },
});
const [folder, tablePath] = positionals;
if (folder === undefined || tablePath === undefined)
  throw new Error('Usage: search-baseline.ts RUN_FOLDER TABLE [--queries 200] [--seeds 20] [--json]');
const [queries, seeds] = [Number(values.queries), Number(values.seeds)];

const run = await openRun(folder);
const { space } = run;
const table = await openLatencyTable(tablePath);
const runtime = await createRuntime({ threads: 1 });
const predictor = await openAccuracyPredictor(run, runtime.inference);
const predictAccuracy = rememberByKey(space.genes, accuracyFunction(predictor));
const predictLatencyMs = rememberByKey(space.genes, latencyFunction(table));
const sorted = (['fit', 'check'] as const)
  .flatMap((role) => tableExamples(table.table, role))
  .map(({ latencyMs }) => latencyMs)
  .sort((a, b) => a - b);

const rows = [];
for (const quantile of [0.1, 0.4, 0.75]) {
  const limitMs = sorted[Math.floor(quantile * (sorted.length - 1))]!;
  const best = async (strategy: string, seed: number, budget?: number): Promise<number> => {
    const options = {
      space,
      predictAccuracy,
      predictLatencyMs,
      constraints: { latencyMs: limitMs },
      strategy,
      seed,
    };
    return (await search(budget === undefined ? options : { ...options, budget })).best.accuracy;
  };
  const exact = await best('exhaustive', 0);
  const evolution: number[] = [];
  const random: number[] = [];
  for (let seed = 0; seed < seeds; seed++) {
    evolution.push(await best('evolution', seed, queries));
    random.push(await best('random', seed, queries));
  }
  const mean = (list: readonly number[]): number => list.reduce((sum, v) => sum + v, 0) / list.length;
  const atLeast = evolution.filter((v, i) => v >= random[i]!).length;
  rows.push({
    limitMs,
    exact,
    evolutionMean: mean(evolution),
    randomMean: mean(random),
    seeds,
    evolutionAtLeastRandom: atLeast,
    queries,
  });
}
await predictor.dispose();
await runtime.dispose();
if (values.json)
  console.log(
    JSON.stringify({ work: 'search-baseline', machine: describeMachine(), space: space.name, rows }, null, 2),
  );
else {
  const percent = (v: number): string => `${(100 * v).toFixed(3)} %`;
  for (const row of rows) {
    console.log(
      `limit ${row.limitMs.toFixed(4)} ms, ${queries} queries: exact ${percent(row.exact)}, evolution ${percent(row.evolutionMean)}, random ${percent(row.randomMean)} ` +
        `(means of ${seeds} seeds); evolution at least as good in ${row.evolutionAtLeastRandom} of ${seeds}`,
    );
  }
}
