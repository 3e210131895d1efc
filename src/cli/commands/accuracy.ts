import { Option, type Command } from 'commander';
import type { Loss } from '../../accuracy/predictor.js';
import type { TargetScale } from '../../accuracy/targets.js';
import type { OnCorrupt } from '../../data/dataset.js';
import type { EngineName, Provider } from '../../pipeline/engineName.js';
import { formatRows } from '../console.js';
import {
  calibrationImagesOption,
  engineOption,
  integer,
  onCorruptOption,
  percent,
  providerOption,
  seedOption,
  skippedLine,
  threadsOption,
  type Register,
} from '../context.js';
import { addProxies } from './accuracyProxies.js';

interface SampleOptions {
  readonly supernet: string;
  readonly count: number;
  readonly data?: string;
  readonly calibrationImages: number;
  readonly engine: EngineName;
  readonly provider: Provider;
  readonly threads?: number;
  readonly onCorrupt?: OnCorrupt;
  readonly seed: number;
}

interface FitOptions {
  readonly supernet: string;
  readonly data?: string;
  readonly predictor: string;
  readonly encoding: string;
  readonly target: TargetScale;
  readonly loss: Loss;
  readonly heldOut?: number;
  readonly seed: number;
}

export const accuracy: Register = (program, context) => {
  const command = program
    .command('accuracy')
    .description('measured accuracies of subnets, and predictors fitted on them');
  command
    .command('sample')
    .description(
      'measure the validation accuracy of random subnets; the same command goes on where it was stopped',
    )
    .requiredOption('--supernet <run>', 'folder of a run')
    .requiredOption('--count <n>', 'distinct subnets wanted', integer('count', 1))
    .option('--data <data>', 'data set (default: the one the run was trained on)')
    .addOption(calibrationImagesOption())
    .addOption(engineOption())
    .addOption(providerOption())
    .addOption(threadsOption())
    .addOption(onCorruptOption('as in training, fail with --data'))
    .addOption(seedOption())
    .addHelpText('after', '\nExample: ofa accuracy sample --supernet runs/digits --count 250')
    .action(async (options: SampleOptions, self: Command) => {
      const [{ sampleRunAccuracies }, { runFiles }, { withRun }, { accuracySpread, spreadDoubt }] =
        await Promise.all([
          import('../../pipeline/accuracy.js'),
          import('../../pipeline/run.js'),
          import('../../pipeline/withRun.js'),
          import('../../accuracy/reliability.js'),
        ]);
      const logger = await context.logger();
      await withRun(options.supernet, { ...options, logger }, async (opened) => {
        const { run, data, evaluator, runtime, loader } = opened;
        const { count, seed } = options;
        const { signal } = context;
        const records = await sampleRunAccuracies({
          run,
          data,
          evaluator,
          runtime,
          count,
          seed,
          logger,
          signal,
        });
        const doubt = spreadDoubt(records);
        if (doubt !== undefined) logger.warn(doubt);
        const top1 = records.map((record) => record.top1);
        const { standardError, spread, images, split } = accuracySpread(records);
        const document = {
          file: runFiles(run.folder).accuracies,
          count: records.length,
          lowestTop1: Math.min(...top1),
          highestTop1: Math.max(...top1),
          top1StandardError: standardError,
          spread,
          split,
          images,
          skippedImages: loader.skipped,
          ignoredFiles: loader.dataset.ignored,
        };
        context.result(
          self,
          document,
          () =>
            `${document.count} subnets, top-1 ${percent(document.lowestTop1)} to ${percent(document.highestTop1)} ` +
            `(± ${(100 * standardError).toFixed(2)} on ${images} ${split} images), in ${document.file}\n${skippedLine(loader.skipped)}`,
        );
      });
    });
  command
    .command('fit')
    .description('fit an accuracy predictor and judge it on subnets that it was not fitted on')
    .requiredOption('--supernet <run>', 'folder of a run')
    .option('--data <data>', "data set that the accuracies were measured on (default: the run's own)")
    .option('--predictor <name>', 'a predictor, or "auto" for the best by cross-validation', 'gp')
    .option('--encoding <name>', 'how architectures become numbers, or "auto"', 'combined')
    .addOption(
      new Option('--target <scale>', 'what is fitted')
        .choices(['accuracy', 'log-error'])
        .default('log-error'),
    )
    .addOption(
      new Option('--loss <loss>', 'square error, or the order of pairs')
        .choices(['squared', 'hinge', 'logistic'])
        .default('squared'),
    )
    .option(
      '--held-out <n>',
      'subnets put aside to judge it on (default: none up to 300, which are all fitted on and judge by cross-validation; else 50)',
      integer('held-out', 1),
    )
    .addOption(seedOption())
    .addHelpText('after', '\nExample: ofa accuracy fit --supernet runs/digits')
    .action(async (options: FitOptions, self: Command) => {
      const [{ fitAccuracy }, { openRun }, { withRuntime }] = await Promise.all([
        import('../../pipeline/accuracy.js'),
        import('../../pipeline/run.js'),
        import('../../pipeline/withRun.js'),
      ]);
      const run = await openRun(options.supernet);
      await withRuntime({}, async (runtime) => {
        const fitted = await fitAccuracy({
          ...options,
          run,
          engine: runtime.inference,
          signal: context.signal,
          logger: await context.logger(),
        });
        const { predictor, encoding, score, standardErrors, compared, file } = fitted;
        await predictor.dispose();
        const document = {
          predictor: predictor.name,
          encoding,
          file,
          rmse: score.rmse,
          rmseStandardError: standardErrors.rmse,
          kendallTau: score.kendallTau,
          kendallTauStandardError: standardErrors.kendallTau,
          spearman: score.spearman,
          heldOut: score.n,
          judgedBy: fitted.judgedBy,
          fittedOn: fitted.fittedOn,
          samplesStandardError: fitted.samplesStandardError,
          compared: compared.map(({ definition, encoding: own, score: { rmse, kendallTau, n } }) => ({
            predictor: definition.name,
            encoding: own,
            rmse,
            kendallTau,
            n,
          })),
        };
        const judged =
          fitted.judgedBy === 'cross-validation'
            ? `Judged by cross-validation on all ${score.n} subnets, each predicted by a fit without it; fitted on all.`
            : `Judged on ${score.n} subnets put aside, fitted on ${fitted.fittedOn} others.`;
        context.result(
          self,
          document,
          () =>
            formatRows(
              ['predictor', 'encoding', 'RMSE (points)', 'Kendall tau', 'Spearman', 'judged on'],
              [
                [
                  predictor.name,
                  encoding,
                  `${score.rmse.toFixed(3)} ± ${standardErrors.rmse.toFixed(3)}`,
                  `${score.kendallTau.toFixed(3)} ± ${standardErrors.kendallTau.toFixed(3)}`,
                  score.spearman.toFixed(3),
                  score.n,
                ],
              ],
            ) +
            `${judged} The accuracies themselves have a standard error of ${fitted.samplesStandardError.toFixed(3)} points.\n`,
        );
      });
    });
  addProxies(command, context);
};
