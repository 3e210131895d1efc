import type { Command } from 'commander';
import { number, seedOption, threadsOption, type Register } from '../context.js';
import { formatModels } from '../specializationTables.js';

interface QuickstartOptions {
  readonly out: string;
  readonly data: string;
  readonly effort: number;
  readonly threads?: number;
  readonly seed: number;
}

export const quickstart: Register = (program, context) => {
  program
    .command('quickstart')
    .description(
      'the whole loop on 10,000 handwritten digits: train, measure, predict, search, export, report',
    )
    .option('--out <dir>', 'folder of everything it writes', 'quickstart')
    .option('--data <data>', 'another data set of 28x28 greyscale images in ten classes', 'mnist')
    .option('--effort <factor>', 'stretches training', number('effort', { above: 0 }), 1)
    .addOption(threadsOption())
    .addOption(seedOption())
    .addHelpText('after', '\nExample: ofa quickstart --out digits')
    .action(async (options: QuickstartOptions, self: Command) => {
      const { quickstart: run } = await import('../../pipeline/quickstart.js');
      const summary = await run({
        folder: options.out,
        settings: { seed: options.seed, data: options.data, epochsScale: options.effort },
        logger: await context.logger(),
        signal: context.signal,
        ...(options.threads === undefined ? {} : { threads: options.threads }),
      });
      context.result(self, summary, () => `\n${formatModels(summary.models)}`);
    });
};
