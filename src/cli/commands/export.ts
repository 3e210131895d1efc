import type { Command } from 'commander';
import type { Verification } from '../../export/verify.js';
import { formatRows } from '../console.js';
import { integer, type Register } from '../context.js';

interface ExportOptions {
  readonly supernet: string;
  readonly arch: string;
  readonly out: string;
  readonly data?: string;
  readonly batch: number;
  readonly calibrationImages: number;
}

export const exportCommand: Register = (program, context) => {
  program
    .command('export')
    .description('write a subnet as a plain ONNX file, its batch norm recalibrated and folded')
    .requiredOption('--supernet <run>', 'folder of a run')
    .requiredOption('--arch <arch>', 'an architecture: JSON, a file, "largest" or "smallest"')
    .requiredOption('--out <file>', 'the ONNX file')
    .option('--data <data>', 'data set to recalibrate on (default: the one the run was trained on)')
    .option('--batch <n>', 'images a run of the file', integer('batch', 1), 1)
    .option(
      '--calibration-images <n>',
      'training images for batch-norm statistics',
      integer('calibration-images', 1),
      2000,
    )
    .addHelpText('after', '\nExample: ofa export --supernet runs/digits --arch smallest --out digits.onnx')
    .action(async (options: ExportOptions, self: Command) => {
      const [
        { exportSubnet },
        { openRun, openLoader, createEvaluator },
        { createRuntime },
        { readArchitecture },
      ] = await Promise.all([
        import('../../export/exportSubnet.js'),
        import('../../pipeline/run.js'),
        import('../../pipeline/runtime.js'),
        import('../../space/file.js'),
      ]);
      const run = await openRun(options.supernet);
      const arch = await readArchitecture(options.arch, run.space);
      const loader = await openLoader(run.space, options.data ?? run.data, {
        batchSize: 1,
        seed: 0,
        logger: await context.logger(),
      });
      const runtime = await createRuntime();
      try {
        const evaluator = createEvaluator(run, loader, runtime, {
          calibrationImages: options.calibrationImages,
        });
        const { path, sizeBytes, verification } = await exportSubnet({
          space: run.space,
          weights: run.weights,
          arch,
          statistics: await evaluator.calibrate(arch),
          outPath: options.out,
          batch: options.batch,
          classes: loader.dataset.classes,
          normalisation: loader.normalisation,
        });
        context.result(
          self,
          { path, sizeBytes, verification },
          () => `${path}, ${(sizeBytes / 1024).toFixed(0)} KiB\n${formatVerification(verification)}`,
        );
      } finally {
        await loader.close();
        await runtime.dispose();
      }
    });
};

/** A line for every way the file was run. */
export function formatVerification({ paths, problems }: Verification): string {
  return (
    formatRows(
      ['run by', 'largest difference', 'relative', ''],
      paths.map((p) => [
        p.path,
        p.maxAbsDifference.toExponential(2),
        p.relativeDifference.toExponential(2),
        p.passed ? 'passed' : 'FAILED',
      ]),
    ) + problems.map((problem) => `Problem: ${problem}\n`).join('')
  );
}
