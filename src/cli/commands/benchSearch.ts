import { Option, type Command } from 'commander';
import type { SearchSpace } from '../../space/space.js';
import { UsageError } from '../../util/errors.js';
import { formatRows } from '../console.js';
import { integer, number, type CliContext } from '../context.js';

const BENCHMARKS = ['nas-bench-macro', 'nas-bench-201', 'accuracy'] as const;

interface BenchSearchOptions {
  readonly on: (typeof BENCHMARKS)[number];
  readonly data?: string;
  readonly supernet?: string;
  readonly within: string;
  readonly device?: string;
  readonly table?: string;
  readonly axis?: string;
  readonly strategies?: readonly string[];
  readonly predictor?: string;
  readonly queries: readonly number[];
  readonly frontShare: number;
  readonly seeds: number;
  readonly out?: string;
  readonly threads: number;
}

/** Adds `search` to `ofa bench`. */
export function addBenchSearch(bench: Command, context: CliContext): void {
  bench
    .command('search')
    .description('how near search strategies come to the best network and to the front, beside random search')
    .addOption(
      new Option('--on <benchmark>', 'whose accuracies').choices(BENCHMARKS).default('nas-bench-macro'),
    )
    .option('--data <file>', "the benchmark's table, or an accuracy data set")
    .option('--supernet <run>', 'with --on accuracy: the run, for its space and its data set')
    .option('--within <json>', 'with --on accuracy: the part of the space, e.g. {"image_size":[28]}', '{}')
    .option('--device <name>', 'with --on accuracy: fronts of accuracy and of latency on this device')
    .option('--table <file>', "the device's latency table")
    .option('--axis <name>', 'what fronts trade accuracy against (default: macs; with --device latencyMs)')
    .option(
      '--strategies <list>',
      'names with commas between (default: all that a table can judge)',
      (text) => text.split(',').map((part) => part.trim()),
    )
    .option(
      '--predictor <name>',
      'guesses accuracies for strategies that want it (default: what each prefers)',
    )
    .option(
      '--queries <list>',
      'numbers of queries after which the regret is taken',
      (text: string) => text.split(',').map(integer('queries', 1)),
      [50, 100, 200],
    )
    .option(
      '--front-share <share>',
      'of the table that a search for a front asks for',
      number('front-share', { above: 0 }),
      0.05,
    )
    .option('--seeds <n>', 'searches that figures are means of', integer('seeds', 1), 20)
    .option('--out <file>', 'where searches are kept as they come; what is there is not done again')
    .option('--threads <n>', 'threads of an operator', integer('threads', 1), 1)
    .addHelpText(
      'after',
      '\nExample: ofa bench search --on nas-bench-macro --data nas-bench-macro_cifar10.json --strategies evolution,nsga2',
    )
    .action(async (options: BenchSearchOptions, self: Command) => {
      const needed = options.on === 'accuracy' ? 'supernet' : 'data';
      if (options[needed] === undefined)
        throw new UsageError(`Cannot run the benchmark: --${needed} is wanted with --on ${options.on}`);
      if (options.frontShare > 1) {
        throw new UsageError(
          `Cannot use --front-share: a share of at most 1 is wanted: current value is "${options.frontShare}"`,
        );
      }
      const [
        { benchSearch, strategyTable },
        tables,
        { openRun, runFiles },
        { createRuntime },
        { recordKey },
      ] = await Promise.all([
        import('../../pipeline/benchSearch.js'),
        import('../../pipeline/benchTables.js'),
        import('../../pipeline/run.js'),
        import('../../pipeline/runtime.js'),
        import('../../data/record.js'),
      ]);
      const runtime = await createRuntime({ threads: options.threads });
      try {
        const engine = runtime.inference;
        const own = async () => {
          const { folder, space, record } = await openRun(options.supernet!);
          const file = options.data ?? runFiles(folder).accuracies;
          const latency = await openLatency(options, space);
          latency?.query.checkSpace(space);
          const within = tables.parseWithin(options.within);
          const given = latency && { latencyMs: latency.ask };
          return tables.openAccuracyTable({
            space,
            file,
            within,
            ...(options.data === undefined && record ? { dataKeys: { recorded: recordKey(record) } } : {}),
            engine,
            seed: 0,
            signal: context.signal,
            ...given,
          });
        };
        const { benchmark, predicted } =
          options.on === 'accuracy'
            ? await own()
            : await tables.openPublishedTable(options.on, options.data!);
        const report = await benchSearch({
          table: benchmark,
          axis: options.axis ?? (options.device === undefined ? 'macs' : 'latencyMs'),
          queries: options.queries,
          frontShare: options.frontShare,
          seeds: options.seeds,
          engine,
          logger: await context.logger(),
          signal: context.signal,
          ...(options.strategies && { strategies: options.strategies }),
          ...(options.predictor !== undefined && { predictor: options.predictor }),
          ...(options.out !== undefined && { file: options.out }),
        });
        const document = { on: options.on, seeds: options.seeds, predicted, ...report };
        context.result(self, document, () => {
          const { header, lines } = strategyTable(report);
          const source =
            predicted === null
              ? ''
              : `Accuracies as ${predicted.predictor} predicts them, fitted on ${predicted.samples} (Kendall tau ${predicted.kendallTau.toFixed(3)} by cross-validation)\n`;
          return `${report.table}: ${report.networks} networks; regret in points of accuracy\n${source}${formatRows(header, lines)}`;
        });
      } finally {
        await runtime.dispose();
      }
    });
}

async function openLatency({ device, table }: BenchSearchOptions, space: SearchSpace) {
  if (device === undefined) return undefined;
  const [{ findTable }, { latencyFunction, openLatencyTable }] = await Promise.all([
    import('../../pipeline/tables.js'),
    import('../../latency/query.js'),
  ]);
  const query = await openLatencyTable(await findTable(device, space, table));
  return { query, ask: latencyFunction(query) };
}
