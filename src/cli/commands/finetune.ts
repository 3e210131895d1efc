import type { Command } from 'commander';
import type { OnCorrupt } from '../../data/dataset.js';
import type { EngineName, Provider } from '../../pipeline/engineName.js';
import { UsageError } from '../../util/errors.js';
import { formatRows } from '../console.js';
import {
  ARCHITECTURE_WORDS,
  calibrationImagesOption,
  engineOption,
  integer,
  number,
  onCorruptOption,
  providerOption,
  seedOption,
  skippedLine,
  threadsOption,
  validationShareOption,
  withError,
  type Register,
} from '../context.js';
import { formatVerification } from './export.js';

interface FinetuneOptions {
  readonly supernet: string;
  readonly arch?: string;
  readonly data?: string;
  readonly out: string;
  readonly epochs: number;
  readonly learningRate: number;
  readonly batchSize: number;
  readonly calibrationImages: number;
  readonly engine: EngineName;
  readonly provider: Provider;
  readonly threads?: number;
  readonly workers?: number;
  readonly onCorrupt?: OnCorrupt;
  readonly validationShare?: number;
  readonly seed: number;
}

export const finetune: Register = (program, context) => {
  program
    .command('finetune')
    .description(
      'train a subnet on by itself, also onto another data set, and export it; the same command goes on',
    )
    .argument('[model]', 'an exported file of the subnet, or what else --arch takes, in its place')
    .requiredOption('--supernet <run>', 'folder of a run')
    .option('--arch <arch>', ARCHITECTURE_WORDS)
    .option('--data <data>', 'data set (default: the one the run was trained on)')
    .requiredOption('--out <run>', "folder of the network's own run, and of model.onnx")
    .option('--epochs <n>', 'passes over the training images', number('epochs', { above: 0 }), 10)
    .option(
      '--learning-rate <rate>',
      'greatest rate, for a batch of 64 images',
      number('learning-rate', { above: 0 }),
      0.01,
    )
    .option('--batch-size <n>', 'images a step', integer('batch-size', 1), 64)
    .addOption(calibrationImagesOption())
    .addOption(engineOption())
    .addOption(providerOption())
    .addOption(threadsOption())
    .option('--workers <n>', 'threads that prepare images (default: 1)', integer('workers'))
    .addOption(validationShareOption('--data'))
    .addOption(onCorruptOption('as in training, fail with --data'))
    .addOption(seedOption())
    .addHelpText(
      'after',
      '\nExample: ofa finetune --supernet runs/digits --arch smallest --data fashion-mnist --out runs/fashion',
    )
    .action(async (model: string | undefined, options: FinetuneOptions, self: Command) => {
      const { supernet, arch, data, out, epochs, learningRate, batchSize, calibrationImages, seed } = options;
      const text = model ?? arch;
      if (text === undefined || (model !== undefined && arch !== undefined))
        throw new UsageError('Cannot finetune: either --arch or an exported file is wanted');
      const { validationShare: share } = options;
      if (share !== undefined && data === undefined)
        throw new UsageError(
          'Cannot use --validation-share without --data: images of the run stay in the splits that it was trained with',
        );
      const [{ finetune: run }, { openRun }, { openArchitecture }, { parseDatasetSpec }] = await Promise.all([
        import('../../pipeline/finetune.js'),
        import('../../pipeline/run.js'),
        import('../../export/openArchitecture.js'),
        import('../../data/index.js'),
      ]);
      const opened = await openRun(supernet);
      const { threads, workers, onCorrupt } = options;
      const result = await run({
        run: opened,
        arch: await openArchitecture(text, opened.space),
        folder: out,
        epochs,
        learningRate,
        batchSize,
        seed,
        engine: options.engine,
        provider: options.provider,
        evaluation: { calibrationImages },
        ...(data === undefined
          ? {}
          : { data: share === undefined ? data : parseDatasetSpec(data, { validationFraction: share }) }),
        ...(threads === undefined ? {} : { threads }),
        ...(workers === undefined ? {} : { workers }),
        ...(onCorrupt === undefined ? {} : { onCorrupt }),
        logger: await context.logger(),
        signal: context.signal,
      });
      const { before, after, onnx, verification, skippedImages } = result;
      const row = (split: 'validation' | 'test'): string[] => [
        split,
        before === null ? '-' : withError(before[split], before[`${split}StandardError`]),
        withError(after[split], after[`${split}StandardError`]),
      ];
      context.result(
        self,
        { run: out, ...result },
        () =>
          formatRows(['top-1', 'before', 'after'], [row('validation'), row('test')]) +
          `${onnx}\n${formatVerification(verification)}${skippedLine(skippedImages)}`,
      );
    });
};
