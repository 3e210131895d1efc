import { Option, type Command } from 'commander';
import type { OnCorrupt, Split } from '../../data/dataset.js';
import type { EngineName, Provider } from '../../pipeline/engineName.js';
import {
  ARCHITECTURE_WORDS,
  calibrationImagesOption,
  engineOption,
  measuredPercent,
  onCorruptOption,
  percent,
  providerOption,
  skippedLine,
  threadsOption,
  type Register,
} from '../context.js';

interface EvalOptions {
  readonly supernet: string;
  readonly arch: string;
  readonly data?: string;
  readonly split: Split;
  readonly calibrate: boolean;
  readonly calibrationImages: number;
  readonly engine: EngineName;
  readonly provider: Provider;
  readonly threads?: number;
  readonly onCorrupt?: OnCorrupt;
}

export const evaluate: Register = (program, context) => {
  program
    .command('eval')
    .description('accuracy and loss of a subnet, its batch norm recalibrated')
    .requiredOption('--supernet <run>', 'folder of a run')
    .requiredOption('--arch <arch>', ARCHITECTURE_WORDS)
    .option('--data <data>', 'data set (default: the one the run was trained on)')
    .addOption(
      new Option('--split <split>', 'which images')
        .choices(['train', 'validation', 'test'])
        .default('validation'),
    )
    .option('--no-calibrate', "take the supernet's own batch-norm statistics")
    .addOption(calibrationImagesOption())
    .addOption(engineOption())
    .addOption(providerOption())
    .addOption(threadsOption())
    .addOption(onCorruptOption('as in training, fail with --data'))
    .addHelpText('after', '\nExample: ofa eval --supernet runs/digits --arch smallest --split test')
    .action(async (options: EvalOptions, self: Command) => {
      const [{ openRun }, { withRun }, { openArchitecture }, { toFile }, { fractionStandardError }] =
        await Promise.all([
          import('../../pipeline/run.js'),
          import('../../pipeline/withRun.js'),
          import('../../export/openArchitecture.js'),
          import('../../space/architecture.js'),
          import('../../util/standardError.js'),
        ]);
      const run = await openRun(options.supernet);
      const arch = await openArchitecture(options.arch, run.space);
      const logger = await context.logger();
      await withRun(run, { ...options, logger }, async ({ evaluator, loader }) => {
        const score = await evaluator.evaluate(arch, options.split, { calibrate: options.calibrate });
        const document = {
          supernet: options.supernet,
          architecture: toFile(arch),
          split: options.split,
          calibrated: options.calibrate,
          ...score,
          top1StandardError: fractionStandardError(score.top1, score.count),
          skippedImages: loader.skipped,
          ignoredFiles: loader.dataset.ignored,
        };
        context.result(
          self,
          document,
          () =>
            `top-1 ${measuredPercent(score.top1, score.count)}, top-5 ${percent(score.top5)}, loss ${score.loss.toFixed(4)} on ${score.count} images (${options.split})\n${skippedLine(loader.skipped)}`,
        );
      });
    });
};
