import { Option, type Command } from 'commander';
import type { Extra } from '../../accuracy/extraColumns.js';
import type { Loss } from '../../accuracy/predictor.js';
import type { TargetScale } from '../../accuracy/targets.js';
import { UsageError } from '../../util/errors.js';
import { formatRows } from '../console.js';
import { integer, threadsOption, type CliContext } from '../context.js';

const BENCHMARKS = ['nas-bench-macro', 'nas-bench-201', 'accuracy'] as const;
type Benchmark = (typeof BENCHMARKS)[number];

interface BenchPredictorsOptions {
  readonly on: Benchmark;
  readonly data?: string;
  readonly supernet?: string;
  readonly predictors?: readonly string[];
  readonly encodings?: readonly string[];
  readonly targets: readonly TargetScale[];
  readonly losses: readonly Loss[];
  readonly extras: readonly Extra[];
  readonly samples: readonly number[];
  readonly seeds: number;
  readonly threads?: number;
}

/** A list with commas between, of these names; throws UsageError. */
function names<T extends string>(option: string, known: readonly T[]): (text: string) => T[] {
  return (text) =>
    text.split(',').map((part) => {
      const name = known.find((one) => one === part.trim());
      if (name !== undefined) return name;
      throw new UsageError(
        `Cannot use --${option}: names of ${known.join(', ')} are wanted, with commas between: current value is "${part.trim()}"`,
      );
    });
}

/** Adds `predictors` to `ofa bench`. */
export function addBenchPredictors(bench: Command, context: CliContext): void {
  const list = (text: string): string[] => text.split(',').map((part) => part.trim());
  bench
    .command('predictors')
    .description('how well accuracy predictors rank networks that they were not fitted on')
    .addOption(
      new Option('--on <benchmark>', 'whose accuracies').choices(BENCHMARKS).default('nas-bench-macro'),
    )
    .option('--data <file>', "the benchmark's table, or an accuracy data set")
    .option('--supernet <run>', 'with --on accuracy: the run, for its space and its data set')
    .option('--predictors <list>', 'names with commas between (default: all)', list)
    .option(
      '--encodings <list>',
      'names with commas between (default: one-hot,combined; nas-bench-201: one-hot)',
      list,
    )
    .option('--targets <list>', 'accuracy, log-error', names('targets', ['accuracy', 'log-error']), [
      'log-error',
    ])
    .option(
      '--losses <list>',
      'squared, hinge, logistic',
      names('losses', ['squared', 'hinge', 'logistic']),
      ['squared'],
    )
    .option(
      '--extras <list>',
      'with --on accuracy: learning-curve, proxies',
      names('extras', ['learning-curve', 'proxies']),
      [],
    )
    .option(
      '--samples <list>',
      'networks to fit on; judged on all others',
      (text: string) => text.split(',').map(integer('samples', 1)),
      [100, 200, 400],
    )
    .option('--seeds <n>', 'draws of samples and weights that figures are means of', integer('seeds', 1), 5)
    .addOption(threadsOption())
    .addHelpText(
      'after',
      '\nExample: ofa bench predictors --on nas-bench-macro --data nas-bench-macro_cifar10.json --predictors ridge,gp',
    )
    .action(async (options: BenchPredictorsOptions, self: Command) => {
      const needed = options.on === 'accuracy' ? 'supernet' : 'data';
      if (options[needed] === undefined)
        throw new UsageError(`Cannot run the benchmark: --${needed} is wanted with --on ${options.on}`);
      const [
        {
          benchPredictorsOnAccuracies,
          benchPredictorsOnMacro,
          benchPredictorsOnNasBench201,
          comparisonTable,
        },
        { accuracyPredictorByName, accuracyPredictors },
        { openRun, runFiles },
        { withRuntime },
        { recordKey },
      ] = await Promise.all([
        import('../../pipeline/benchPredictors.js'),
        import('../../accuracy/predictors/index.js'),
        import('../../pipeline/run.js'),
        import('../../pipeline/withRun.js'),
        import('../../data/record.js'),
      ]);
      const definitions = (options.predictors ?? [...accuracyPredictors.keys()]).map(accuracyPredictorByName);
      const logger = await context.logger();
      await withRuntime({ threads: options.threads }, async (runtime) => {
        const settings = {
          definitions,
          encodings:
            options.encodings ?? (options.on === 'nas-bench-201' ? ['one-hot'] : ['one-hot', 'combined']),
          targets: options.targets,
          losses: options.losses,
          sizes: options.samples,
          seeds: options.seeds,
          engine: runtime.inference,
          logger,
          signal: context.signal,
        };
        const compare = async () => {
          if (options.on === 'nas-bench-macro') return benchPredictorsOnMacro(options.data!, settings);
          if (options.on === 'nas-bench-201') return benchPredictorsOnNasBench201(options.data!, settings);
          const { folder, space, record } = await openRun(options.supernet!);
          const file = options.data ?? runFiles(folder).accuracies;
          return benchPredictorsOnAccuracies(file, space, options.extras, {
            ...settings,
            ...(options.data === undefined && record ? { dataKeys: { recorded: recordKey(record) } } : {}),
          });
        };
        const predictors = await compare();
        const document = { on: options.on, seeds: options.seeds, predictors };
        context.result(self, document, () => {
          const { header, lines } = comparisonTable(predictors);
          return formatRows(header, lines);
        });
      });
    });
}
