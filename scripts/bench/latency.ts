/**
 * npm run bench:latency -- [TABLE|DEVICE...] [--space S] [--repeat OTHER_TABLE...] [--models FILE...]
 *                          [--help-data help-ofa-latency.csv] [--draws 10] [--json]
 *
 * How good predicted latencies are. For each table (a file, or a device's table for --space): every predictor on the whole
 * subnets that none was fitted on, and how far measurements repeat where each subnet has several. With two tables or more:
 * each device from 10 and 20 subnets and what the others know.
 * --repeat: the same tables measured again, in the same order: what predictions are made from, and medians as measured.
 * --models: what `ofa specialize --json` printed. --help-data: few-shot figures on 12 real GPU settings.
 */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { predictorContext } from '../../src/latency/context.js';
import { fitPredictor } from '../../src/latency/crossValidation.js';
import { evaluateLatency, type LatencyErrors } from '../../src/latency/evaluate.js';
import { usualSpeedOf } from '../../src/latency/fitted.js';
import type { LatencyExample } from '../../src/latency/predictor.js';
import { agreementOfPasses } from '../../src/latency/passes.js';
import { LatencyQuery, tableExamples } from '../../src/latency/query.js';
import { validateTable } from '../../src/latency/validate.js';
import { steadyMs } from '../../src/latency/steady.js';
import { measuredTable, readTable, type MeasuredTable } from '../../src/latency/table.js';
import { distilSource, transferPredictor } from '../../src/latency/transferPredictor.js';
import { findTable } from '../../src/pipeline/tables.js';
import { loadSpace } from '../../src/space/presets.js';
import { FewShotBench, type FewShotRow } from './support/fewShot.js';
import { describeMachine, median } from './support/machine.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    space: { type: 'string', default: 'ofa-mbv3' },
    repeat: { type: 'string', multiple: true, default: [] },
    models: { type: 'string', multiple: true, default: [] },
    'help-data': { type: 'string' },
    draws: { type: 'string', default: '10' },
    json: { type: 'boolean', default: false },
  },
});
const draws = Number(values.draws);
const say = (text: string): void => {
  if (!values.json) console.log(text);
};
const open = async (word: string): Promise<MeasuredTable> =>
  measuredTable(
    await readTable(word.endsWith('.json') ? word : await findTable(word, await loadSpace(values.space))),
    word,
  );

interface Differences {
  readonly count: number;
  readonly median: number;
  readonly p95: number;
  /** By how much the first are longer in the median, and the median of what differs beside that. */
  readonly common: number;
  readonly rest: number;
}

/** Relative differences in percent; null where there are none. */
function differences(pairs: readonly (readonly [number, number])[]): Differences | null {
  if (pairs.length === 0) return null;
  const percent = pairs.map(([a, b]) => (200 * (a - b)) / (a + b));
  const sizes = percent.map(Math.abs).sort((a, b) => a - b);
  const common = median(percent);
  return {
    count: pairs.length,
    median: median(sizes),
    p95: sizes[Math.floor(0.95 * sizes.length)]!,
    common,
    rest: median(percent.map((one) => Math.abs(one - common))),
  };
}

function errorCells(errors: LatencyErrors): string {
  const { count, within5Percent, within10Percent, mape, kendallTau, spearman, coveredPercent } = errors;
  const digits = (value: number | null, n: number): string => value?.toFixed(n) ?? '-';
  return `${count} | ${digits(within5Percent, 1)} | ${digits(within10Percent, 1)} | ${digits(mape, 2)} | ${digits(kendallTau, 3)} | ${digits(spearman, 3)} | ${digits(coveredPercent, 1)}`;
}
const HEAD = 'subnets | within 5 % | within 10 % | MAPE % | Kendall tau | Spearman | in 90 % interval';
const RULE = '--- | --- | --- | --- | --- | --- | ---';

/** Medians as measured, as if the machine had had one speed and nothing had disturbed it. */
function uncorrected({ predictor: _fitted, ...table }: MeasuredTable): MeasuredTable {
  const bare = <T extends object>(measured: T): T => ({ ...measured, sentinelMs: 1, quietMs: undefined });
  const entries = Object.entries(table.entries).map(([key, entry]) => [key, bare(entry)]);
  return {
    ...table,
    entries: Object.fromEntries(entries) as MeasuredTable['entries'],
    wholeSubnets: table.wholeSubnets.map(bare),
  };
}

const tables = await Promise.all(positionals.map(open));
const validations = tables.map((table) => ({
  fit: tableExamples(table, 'fit').length,
  ...validateTable(table),
  asMeasured: validateTable(uncorrected(table)).errors,
}));
if (validations.length > 0) say(`| device | predictor | ${HEAD} |\n| --- | --- | ${RULE} |`);
for (const { device, method, byMethod, asMeasured } of validations) {
  for (const [name, errors] of Object.entries(byMethod))
    say(`| ${device} | ${name}${name === method ? ' (used)' : ''} | ${errorCells(errors)} |`);
  say(`| ${device} | used, as measured, whatever the machine's speed | ${errorCells(asMeasured)} |`);
}

const state = tables.map((table) => {
  const all = [...Object.values(table.entries), ...table.wholeSubnets];
  const halfWidths = table.wholeSubnets.flatMap(({ ciMs, latencyMs }) =>
    ciMs === null ? [] : [(50 * (ciMs[1] - ciMs[0])) / latencyMs],
  );
  const share = (flag: (typeof all)[number]['flags'][number]): number =>
    (100 * all.filter(({ flags }) => flags.includes(flag)).length) / all.length;
  return {
    device: table.device.name,
    protocol: table.protocol.name,
    blocks: Object.keys(table.entries).length,
    driftPercent: share('drift'),
    contentionPercent: share('contention'),
    notConvergedPercent: share('notConverged'),
    halfWidthPercent: halfWidths.length === 0 ? null : median(halfWidths),
    passes: agreementOfPasses(table),
    passesAsMeasured: agreementOfPasses(uncorrected(table)),
  };
});
for (const s of state) {
  say(
    `${s.device}: ${s.blocks} blocks by "${s.protocol}"; drift ${s.driftPercent.toFixed(1)} %, contention ${s.contentionPercent.toFixed(1)} %, ` +
      `not converged ${s.notConvergedPercent.toFixed(1)} %; half-width of a whole subnet's 95 % interval ${s.halfWidthPercent?.toFixed(2) ?? '-'} %`,
  );
  if (s.passes !== null)
    say(
      `${s.device}: ${s.passes.networks} subnets in ${s.passes.passes} passes; standard deviation of one measurement ${s.passes.deviationPercent.toFixed(2)} %, ` +
        `of their mean ${s.passes.meanDeviationPercent.toFixed(2)} %, Kendall tau between passes ${s.passes.kendallTau.toFixed(3)}; ` +
        `as measured, whatever the machine's speed: ${s.passesAsMeasured?.deviationPercent.toFixed(2) ?? '-'} %`,
    );
}

/** Each device by what the others know. */
const ownFewShot: { device: string; samples: number; errors: LatencyErrors }[] = [];
if (tables.length > 1) {
  const known = tables.map((table) => {
    const query = new LatencyQuery(table);
    return distilSource(table.device.name, query.space, query.predictor);
  });
  say(`\n| device, from others | fitted on | ${HEAD} |\n| --- | --- | ${RULE} |`);
  tables.forEach((table, t) => {
    const sources = known.filter((_, i) => i !== t && tables[i]!.space.name === table.space.name);
    if (sources.length === 0) return;
    const context = predictorContext({ space: new LatencyQuery(table).space, sources });
    const asked = tableExamples(table, 'check');
    for (const samples of [10, 20]) {
      const taken = tableExamples(table, 'fit').slice(0, samples);
      if (taken.length < samples) continue;
      const answers = asked.map(({ architecture }) => ({ architecture }));
      const predictor = fitPredictor(transferPredictor, taken, context);
      const predicted = answers.map(({ architecture }) => predictor.predict(architecture));
      const errors = evaluateLatency(
        predicted.map(({ latencyMs }) => latencyMs),
        asked.map(({ latencyMs }) => latencyMs),
        predicted.map(({ intervalMs }) => intervalMs),
      );
      ownFewShot.push({ device: table.device.name, samples, errors });
      say(`| ${table.device.name} | ${samples} | ${errorCells(errors)} |`);
    }
  });
}

interface Repeated {
  readonly blocks: Differences | null;
  readonly subnets: Differences | null;
}
const repeats = [];
for (const [i, word] of values.repeat.entries()) {
  const first = tables[i];
  if (first === undefined) throw new Error('Usage: each table of --repeat is of a table before it');
  const second = await open(word);
  const compare = (a: MeasuredTable, b: MeasuredTable): Repeated => {
    const [usualA, usualB] = [usualSpeedOf(a), usualSpeedOf(b)];
    const blocks = Object.entries(a.entries).flatMap(([key, entry]): [number, number][] => {
      const other = b.entries[key];
      return other === undefined ? [] : [[steadyMs(entry, usualA), steadyMs(other, usualB)]];
    });
    const examples = (table: MeasuredTable): LatencyExample[] => [
      ...tableExamples(table, 'fit'),
      ...tableExamples(table, 'check'),
    ];
    const others = new Map(
      examples(b).map(({ architecture, latencyMs }) => [JSON.stringify(architecture), latencyMs]),
    );
    const subnets = examples(a).flatMap(({ architecture, latencyMs }): [number, number][] => {
      const other = others.get(JSON.stringify(architecture));
      return other === undefined ? [] : [[latencyMs, other]];
    });
    return { blocks: differences(blocks), subnets: differences(subnets) };
  };
  const row = {
    device: first.device.name,
    ...compare(first, second),
    asMeasured: compare(uncorrected(first), uncorrected(second)),
  };
  repeats.push(row);
  const words = (d: typeof row.blocks): string =>
    d === null
      ? 'none'
      : `median ${d.median.toFixed(2)} %, 95th percentile ${d.p95.toFixed(2)} % of ${d.count} (${d.common.toFixed(2)} % in common, without it ${d.rest.toFixed(2)} %)`;
  say(
    `\nMeasured twice on ${row.device}: blocks ${words(row.blocks)}; whole subnets ${words(row.subnets)}\n` +
      `The same, medians as measured: blocks ${words(row.asMeasured.blocks)}; whole subnets ${words(row.asMeasured.subnets)}`,
  );
}

const modelsSchema = z.looseObject({
  models: z.array(z.looseObject({ device: z.string(), maxLatencyMs: z.number(), measuredMs: z.number() })),
});
const cells = [];
for (const file of values.models)
  cells.push(...modelsSchema.parse(JSON.parse(await readFile(file, 'utf8'))).models);
const kept = cells.filter(({ measuredMs, maxLatencyMs }) => measuredMs <= maxLatencyMs).length;
if (cells.length > 0) say(`\nChosen models within their limit as measured: ${kept} of ${cells.length}`);

const fewShot: FewShotRow[] = [];
let ceiling;
let limits;
if (values['help-data'] !== undefined) {
  const bench = new FewShotBench(await loadSpace('ofa-mbv3'), values['help-data']);
  ceiling = bench.ceiling();
  say(
    `\nHELP's data, mean of 12 settings, ${draws} draws. 4000 measurements of the setting itself: Spearman ${ceiling.spearman.toFixed(3)}, MAPE ${ceiling.mape.toFixed(2)} %\n\n` +
      '| predictor | known devices | samples | which | networks asked | Spearman | MAPE % | within 10 % | in 90 % interval |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |',
  );
  const rows: Pick<FewShotRow, 'known' | 'samples' | 'choice' | 'trimmed' | 'queries'>[] = [];
  for (const samples of [10, 20, 30]) {
    rows.push({ known: 'none', samples, choice: 'random', trimmed: false });
    for (const known of ['other GPUs', 'other settings'] as const) {
      for (const choice of ['random', 'chosen'] as const)
        rows.push({ known, samples, choice, trimmed: false });
    }
    rows.push({ known: 'other GPUs', samples, choice: 'chosen', trimmed: false, queries: true });
  }
  rows.push({ known: 'other GPUs', samples: 10, choice: 'random', trimmed: true });
  for (const request of rows) {
    const row = bench.run(request, draws);
    fewShot.push(row);
    say(
      `| ${row.method} | ${row.known} | ${row.samples} | ${row.choice} | ${row.trimmed ? '10-90 %' : 'all'} | ${row.spearman.toFixed(3)} | ${row.mape.toFixed(2)} | ${row.within10Percent.toFixed(1)} | ${row.coveredPercent.toFixed(1)} |`,
    );
  }
  limits = bench.limits('titan_rtx_64', [20, 23, 28], draws);
  say(
    `\ntitan_rtx_64 from 10 chosen samples, largest network predicted within a limit: ${limits.map(({ limitMs, measuredMs }) => `${limitMs} ms: ${measuredMs.toFixed(1)} ms`).join(', ')} (HELP publishes 20.3, 23.1, 28.6 ms)`,
  );
}

if (values.json) {
  console.log(
    JSON.stringify(
      {
        work: 'latency',
        machine: describeMachine(),
        tables: validations.map(({ networks: _, ...rest }) => rest),
        state,
        fewShotAmongDevices: ownFewShot,
        repeats,
        limits: cells.length === 0 ? null : { cells: cells.length, within: kept },
        help: ceiling === undefined ? null : { draws, ceiling, rows: fewShot, limits },
      },
      null,
      2,
    ),
  );
}
