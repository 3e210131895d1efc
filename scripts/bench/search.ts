/**
 * npm run bench:search -- [--only quality|speed] [--data TABLE.json] [--seeds 20] [--queries 50,100,200]
 *   [--strategies A,B] [--out RUNS.jsonl] [--repeat 5] [--reference FIGURES.json] [--threads N] [--json]
 *
 * Quality: what `ofa bench search --on nas-bench-macro` prints, as a Markdown table.
 *
 * Speed: candidates a second of OFA's evolution on predictors, beside figures of its own implementation where there are some.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { readMacroTable } from '../../src/accuracy/benchmarks/macroTable.js';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { benchSearch, strategyTable } from '../../src/pipeline/benchSearch.js';
import { silentLogger } from '../../src/util/logger.js';
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
    out: { type: 'string' },
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
  const report = { work: 'search', machine, quality, speed, loadAfter: describeMachine().load };
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
  const engine = await createOnnxRuntimeEngine({ threads: 1 });
  const report = await benchSearch({
    table: await readMacroTable(path),
    axis: 'macs',
    queries: values.queries.split(',').map(Number),
    frontShare: 0.05,
    seeds: Number(values.seeds),
    engine,
    logger: silentLogger,
    ...(values.strategies === undefined ? {} : { strategies: values.strategies.split(',') }),
    ...(values.out === undefined ? {} : { file: values.out }),
  });
  await engine.dispose();
  if (!values.json) {
    const { header, lines } = strategyTable(report);
    for (const cells of [header, header.map(() => '---'), ...lines]) console.log(`| ${cells.join(' | ')} |`);
  }
  return report;
}
