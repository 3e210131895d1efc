/**
 * npm run bench:search -- [--only quality|speed] [--data TABLE.json] [--seeds 20] [--queries 50,100,200]
 *   [--strategies A,B] [--repeat 5] [--reference FIGURES.json] [--threads N] [--json]
 *
 * Quality: strategies on NAS-Bench-Macro's open half (a file that `ofa bench predictors --data` takes too): mean regret in points
 * of accuracy after some queries, and the hypervolume of the front of accuracy and MACs after 5 % of the table, as a share of the
 * true front's. Strategies with a model of what they saw get a Gaussian process on one-hot vectors.
 *
 * Speed: candidates a second of OFA's evolution on predictors, beside figures of its own implementation where there are some.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { oneHotEncoder } from '../../src/accuracy/encoding.js';
import { readMacroTable } from '../../src/accuracy/benchmarks/macroTable.js';
import { accuracyPredictorByName } from '../../src/accuracy/predictors/index.js';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { predictorRegressor } from '../../src/pipeline/regressors.js';
import { hypervolume } from '../../src/search/pareto.js';
import { runSearch } from '../../src/search/run.js';
import { strategies } from '../../src/search/strategies/index.js';
import { tabularLimit, tabularQuantity } from '../../src/search/tabular.js';
import { describeMachine, median } from './support/machine.js';
import { readReference } from './support/reference.js';
import { measureSearchSpeed } from './support/searchSpeed.js';

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    data: { type: 'string' },
    seeds: { type: 'string', default: '20' },
    queries: { type: 'string', default: '50,100,200' },
    strategies: { type: 'string' },
    repeat: { type: 'string', default: '5' },
    reference: { type: 'string' },
    threads: { type: 'string', default: String(availableParallelism()) },
    json: { type: 'boolean', default: false },
  },
});
if (values.only !== 'speed' && values.data === undefined)
  throw new Error('Usage: npm run bench:search -- --data TABLE.json, or --only speed');

const machine = describeMachine();
const quality =
  values.only === 'speed' || values.data === undefined ? undefined : await measureQuality(values.data);
const speed = values.only === 'quality' ? undefined : await measureSpeed();
if (values.json) {
  const report = { work: 'search', machine, ...quality, speed, loadAfter: describeMachine().load };
  console.log(JSON.stringify(report, null, 2));
}

async function measureSpeed() {
  const threads = Number(values.threads);
  const engine = await createOnnxRuntimeEngine({ threads });
  const own = await measureSearchSpeed(engine, Number(values.repeat));
  await engine.dispose();
  const reference = values.reference === undefined ? [] : await readReference(values.reference);
  const ratios = reference.map((figure) => ({
    ...figure,
    fasterBy: own.candidatesPerSecond / figure.candidatesPerSecond,
  }));
  if (!values.json) {
    console.log(
      `${own.candidates} candidates in ${median(own.seconds).toFixed(3)} s (${own.seconds.map((s) => s.toFixed(3)).join(', ')}): ` +
        `${Math.round(own.candidatesPerSecond)} a second, ${threads} threads; ${machine.cpu}, load ${machine.load}`,
    );
    for (const { name, candidatesPerSecond, fasterBy } of ratios)
      console.log(
        `${name}: ${Math.round(candidatesPerSecond)} a second; ofakit is faster by ${fasterBy.toFixed(1)}x`,
      );
  }
  return { ...own, threads, reference: ratios };
}

async function measureQuality(path: string) {
  const seeds = Number(values.seeds);
  const marks = values.queries.split(',').map(Number);
  const names =
    values.strategies?.split(',') ?? [...strategies.keys()].filter((name) => name !== 'exhaustive');
  const table = await readMacroTable(path);
  const engine = await createOnnxRuntimeEngine({ threads: 1 });
  const regressor = predictorRegressor(
    accuracyPredictorByName('gp'),
    oneHotEncoder({ genes: table.genes }),
    engine,
  );
  const accuracy = tabularQuantity(table, 'top1', 'maximize');
  const macs = { ...tabularQuantity(table, 'macs', 'minimize'), cheap: true };
  const constraints = [tabularLimit(table)];
  const valueOf = (entry: (typeof table.entries)[number], name: string): number => entry.values[name]!;
  const best = Math.max(...table.entries.map((entry) => valueOf(entry, 'top1')));
  /** Accuracy, and MACs with their sign turned: more is better. */
  const points = table.entries.map((entry) => [valueOf(entry, 'top1'), -valueOf(entry, 'macs')]);
  const reference = [0, 1].map((d) => Math.min(...points.map((p) => p[d]!)));
  const whole = hypervolume(points, reference);
  const share = Math.floor(0.05 * table.entries.length);
  const mean = (list: readonly number[]): number => list.reduce((sum, v) => sum + v, 0) / list.length;

  const rows = [];
  for (const name of names) {
    const strategy = strategies.get(name);
    if (strategy === undefined)
      throw new Error(`There is no strategy "${name}": there are ${[...strategies.keys()].join(', ')}`);
    if (strategy.needs?.fidelity === true) continue;
    const common = { genes: table.genes, strategy, constraints, regressor, engine };
    const start = process.cpuUsage().user;
    const regrets = marks.map((): number[] => []);
    const volumes: number[] = [];
    for (let seed = 0; seed < seeds; seed++) {
      if (strategy.capabilities.multiObjective) {
        const { front } = await runSearch({ ...common, objectives: [accuracy, macs], budget: share, seed });
        const found = front.map(({ values: [top1, cost] }) => [top1!, -cost!]);
        volumes.push(hypervolume(found, reference) / whole);
      }
      const { history } = await runSearch({
        ...common,
        objectives: [accuracy],
        budget: Math.max(...marks),
        seed,
      });
      marks.forEach((mark, i) => {
        const {
          values: [top1],
        } = history.filter(({ evaluated }) => evaluated <= mark).at(-1)!;
        regrets[i]!.push(100 * (best - top1!));
      });
    }
    const secondsPerSeed = (process.cpuUsage().user - start) / 1e6 / seeds;
    rows.push({
      strategy: name,
      regretPoints: Object.fromEntries(marks.map((mark, i) => [mark, mean(regrets[i]!)])),
      hypervolumeShare: volumes.length > 0 ? mean(volumes) : null,
      cpuSecondsPerSeed: secondsPerSeed,
    });
    if (!values.json) {
      const list = marks.map((mark, i) => `${mark}: ${mean(regrets[i]!).toFixed(3)}`).join('  ');
      const volume =
        volumes.length > 0 ? `; hypervolume at ${share} queries ${mean(volumes).toFixed(4)}` : '';
      console.log(
        `${name.padEnd(26)} regret ${list}${volume}; ${secondsPerSeed.toFixed(2)} s of processor a seed`,
      );
    }
  }
  await engine.dispose();
  return { seeds, networks: table.entries.length, rows };
}
