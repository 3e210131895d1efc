import type { Command } from 'commander';
import type { OnCorrupt } from '../../data/dataset.js';
import type { ProxyRanking } from '../../pipeline/proxies.js';
import { UsageError } from '../../util/errors.js';
import { formatRows } from '../console.js';
import {
  integer,
  onCorruptOption,
  seedOption,
  skippedLine,
  threadsOption,
  type CliContext,
} from '../context.js';

interface ProxyOptions {
  readonly supernet: string;
  readonly arch?: readonly string[];
  readonly from?: string;
  readonly proxies?: string;
  readonly data?: string;
  readonly images: number;
  readonly again: boolean;
  readonly threads?: number;
  readonly onCorrupt?: OnCorrupt;
  readonly seed: number;
}

const row = ({ name, networks, kendallTau, spearman }: ProxyRanking): (string | number)[] => [
  name,
  kendallTau?.toFixed(3) ?? '-',
  spearman?.toFixed(3) ?? '-',
  networks,
];

/** Adds `proxies` to `ofa accuracy`. */
export function addProxies(accuracy: Command, context: CliContext): void {
  accuracy
    .command('proxies')
    .description(
      'zero-cost proxies of subnets, and how well they rank measured accuracies; the same command goes on where it was stopped',
    )
    .requiredOption('--supernet <run>', 'folder of a run')
    .option('--from <file>', 'accuracy data set to add them to and to rank (default: that of the run)')
    .option('--arch <arch...>', 'only these architectures')
    .option('--proxies <list>', 'names with commas between (default: all)')
    .option('--data <data>', 'data set (default: the one the run was trained on)')
    .option('--images <n>', 'training images of the one batch', integer('images', 2), 64)
    .option('--again', 'compute also what the file holds already', false)
    .addOption(threadsOption())
    .addOption(onCorruptOption('as in training, fail with --data'))
    .addOption(seedOption())
    .addHelpText('after', '\nExample: ofa accuracy proxies --supernet runs/digits')
    .action(async (options: ProxyOptions, self: Command) => {
      if (options.arch !== undefined && options.from !== undefined)
        throw new UsageError('Cannot score subnets: give --arch or --from, not both');
      const [
        { createProxyScorer, scoreAccuracyData },
        { zeroCostProxies, zeroCostProxyByName },
        { openRun, runFiles },
        { withRun },
        { ownDataKey },
        { openArchitecture },
        { toFile },
      ] = await Promise.all([
        import('../../pipeline/proxies.js'),
        import('../../accuracy/proxies/index.js'),
        import('../../pipeline/run.js'),
        import('../../pipeline/withRun.js'),
        import('../../pipeline/accuracyData.js'),
        import('../../export/openArchitecture.js'),
        import('../../space/architecture.js'),
      ]);
      const proxies = (
        options.proxies?.split(',').map((name) => name.trim()) ?? [...zeroCostProxies.keys()]
      ).map(zeroCostProxyByName);
      const run = await openRun(options.supernet);
      const archs = await Promise.all((options.arch ?? []).map((text) => openArchitecture(text, run.space)));
      const logger = await context.logger();
      await withRun(run, { ...options, logger }, async ({ data, loader, runtime }) => {
        const { space } = run;
        const score = createProxyScorer({ ...options, space, loader, runtime, proxies });
        const names = proxies.map(({ name }) => name);
        if (options.arch !== undefined) {
          const scored: { architecture: ReturnType<typeof toFile>; proxies: Record<string, number> }[] = [];
          for (const arch of archs) scored.push({ architecture: toFile(arch), proxies: await score(arch) });
          context.result(self, { architectures: scored, skippedImages: loader.skipped }, () =>
            formatRows(
              ['architecture', ...names],
              scored.map(({ proxies: values }, i) => [
                options.arch![i]!,
                ...names.map((name) => values[name]?.toPrecision(5) ?? '-'),
              ]),
            ),
          );
          return;
        }
        const report = await scoreAccuracyData({
          space,
          file: options.from ?? runFiles(run.folder).accuracies,
          keys: { now: await data.dataKey(), recorded: await ownDataKey(run, logger) },
          score,
          names,
          again: options.again,
          logger,
          signal: context.signal,
        });
        const document = { ...report, images: options.images, skippedImages: loader.skipped };
        context.result(
          self,
          document,
          () =>
            `${formatRows(
              ['score', 'Kendall tau', 'Spearman', 'networks'],
              [...report.proxies, ...report.baselines].map(row),
            )}${skippedLine(loader.skipped)}`,
        );
      });
    });
}
