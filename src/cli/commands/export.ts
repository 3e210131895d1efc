import { Option, type Command } from 'commander';
import type { ExportResult } from '../../export/exportSubnet.js';
import type { Int8Result } from '../../pipeline/exportInt8.js';
import type { RangeMethod } from '../../export/int8/ranges.js';
import type { Verification } from '../../export/verify.js';
import { UsageError } from '../../util/errors.js';
import { formatRows } from '../console.js';
import {
  ARCHITECTURE_WORDS,
  calibrationImagesOption,
  integer,
  percent,
  withError,
  type Register,
} from '../context.js';

interface ExportOptions {
  readonly supernet: string;
  readonly arch: string;
  readonly out: string;
  readonly data?: string;
  readonly batch: number;
  readonly calibrate: boolean;
  readonly calibrationImages: number;
  readonly int8?: boolean;
  readonly int8Images: number;
  readonly int8Ranges: RangeMethod;
  readonly int8ReduceRange?: boolean;
}

export const exportCommand: Register = (program, context) => {
  program
    .command('export')
    .description('write a subnet as a plain ONNX file, its batch norm recalibrated and folded')
    .requiredOption('--supernet <run>', 'folder of a run')
    .requiredOption('--arch <arch>', ARCHITECTURE_WORDS)
    .requiredOption('--out <file>', 'the ONNX file')
    .option('--data <data>', 'data set to recalibrate on (default: the one the run was trained on)')
    .option('--batch <n>', 'images a run of the file', integer('batch', 1), 1)
    .addOption(calibrationImagesOption())
    .option('--no-calibrate', "take the supernet's own batch-norm statistics; needs no data set")
    .option('--int8', 'quantise to 8 bits, and compare accuracy, latency and size with the float file')
    .addOption(
      new Option('--int8-images <n>', 'training images that ranges of activations are taken from')
        .default(256)
        .argParser(integer('int8-images', 1))
        .implies({ int8: true }),
    )
    .addOption(
      new Option('--int8-ranges <method>', 'how: of all values, of nearly all, or of least squared error')
        .choices(['min-max', 'percentile', 'mse'] satisfies RangeMethod[])
        .default('mse')
        .implies({ int8: true }),
    )
    .addOption(
      new Option(
        '--int8-reduce-range',
        'weights of 7 bits, for x86 processors without VNNI, whose sums overflow with 8',
      ).implies({ int8: true }),
    )
    .addHelpText('after', '\nExample: ofa export --supernet runs/digits --arch smallest --out digits.onnx')
    .action(async (options: ExportOptions, self: Command) => {
      const [{ exportSubnet }, { openRun }, { runRecord }, { withRun }, { openArchitecture }] =
        await Promise.all([
          import('../../export/exportSubnet.js'),
          import('../../pipeline/run.js'),
          import('../../pipeline/runData.js'),
          import('../../pipeline/withRun.js'),
          import('../../export/openArchitecture.js'),
        ]);
      const run = await openRun(options.supernet);
      const arch = await openArchitecture(options.arch, run.space);
      const subnet = {
        space: run.space,
        weights: run.weights,
        arch,
        outPath: options.out,
        batch: options.batch,
      };
      if (!options.calibrate) {
        if (options.int8 === true)
          throw new UsageError('Cannot use --int8 with --no-calibrate: quantising needs data');
        const record = await runRecord(run, await context.logger());
        const { classes, normalisation } = record ?? {};
        const result = await exportSubnet({
          ...subnet,
          ...(classes === undefined ? {} : { classes }),
          ...(normalisation === undefined ? {} : { normalisation }),
        });
        context.result(self, result, () => formatExport(result));
        return;
      }
      const logger = await context.logger();
      const { data, calibrationImages } = options;
      const instead = "take the supernet's own batch-norm statistics with --no-calibrate";
      await withRun(run, { data, calibrationImages, logger, instead }, async ({ evaluator, loader }) => {
        const request = {
          ...subnet,
          statistics: await evaluator.calibrate(arch),
          classes: loader.dataset.classes,
          normalisation: loader.normalisation,
        };
        if (options.int8 === true) {
          const [{ exportInt8 }, { loadShippedDevice }, { protocolByName }] = await Promise.all([
            import('../../pipeline/exportInt8.js'),
            import('../../device/profile.js'),
            import('../../device/protocol.js'),
          ]);
          const result = await exportInt8({
            ...request,
            loader,
            images: options.int8Images,
            method: options.int8Ranges,
            reduceRange: options.int8ReduceRange ?? false,
            device: await loadShippedDevice('local-cpu'),
            protocol: protocolByName('quick'),
            seed: 0,
            logger,
          });
          context.result(self, result, () => formatInt8(result));
          return;
        }
        const result = await exportSubnet(request);
        context.result(self, result, () => formatExport(result));
      });
    });
};

const kib = (bytes: number): string => `${(bytes / 1024).toFixed(0)} KiB`;

function formatInt8({ path, verification, int8 }: Int8Result): string {
  const { float, quantised, split, agreement, device, images, lossTop1, lossTop1StandardError } = int8;
  const rows = (
    [
      ['float', float],
      ['int8', quantised],
    ] as const
  ).map(([name, { sizeBytes, top1, top1StandardError, latencyMs }]) => [
    name,
    kib(sizeBytes),
    withError(top1, top1StandardError),
    latencyMs === null ? 'not measured' : `${latencyMs.toPrecision(3)} ms`,
  ]);
  return (
    `${path}\n${formatVerification(verification)}\n` +
    formatRows(['', 'size', `top-1, ${split}`, `on ${device}`], rows) +
    `Both say the same of ${percent(agreement)} of the ${images} images; quantising costs ${(100 * lossTop1).toFixed(2)} ± ${(100 * lossTop1StandardError).toFixed(2)} points\n`
  );
}

const formatExport = ({ path, sizeBytes, verification }: ExportResult): string =>
  `${path}, ${kib(sizeBytes)}\n${formatVerification(verification)}`;

/** A line for every way the file was run. */
export function formatVerification({ paths, problems, integrity }: Verification): string {
  return (
    formatRows(
      ['run by', 'largest difference', 'relative', ''],
      paths.map((p) => [
        p.path,
        p.maxAbsDifference.toExponential(2),
        p.relativeDifference.toExponential(2),
        p.passed ? 'passed' : 'FAILED',
      ]),
    ) +
    (integrity === 'no hash'
      ? 'The file has no hash of its weights: it was exported before files had one, so damage cannot be told\n'
      : '') +
    problems.map((problem) => `Problem: ${problem}\n`).join('')
  );
}
