import type { Command } from 'commander';
import { formatRows } from '../console.js';
import { integer, number, percent, seedOption, type Register } from '../context.js';

interface SpecializeOptions {
  readonly supernet: string;
  readonly device: string[];
  readonly maxLatencyMs: number[];
  readonly out: string;
  readonly data?: string;
  readonly strategy?: string;
  readonly protocol: string;
  readonly finalists: number;
  readonly calibrationImages: number;
  readonly seed: number;
}

const limits = (text: string, previous: number[] | undefined): number[] => [
  ...(previous ?? []),
  ...text.split(',').map(number('max-latency-ms', { above: 0 })),
];

export const specialize: Register = (program, context) => {
  program
    .command('specialize')
    .description(
      'search, calibrate, measure, export and verify: one ONNX file for every device and latency limit',
    )
    .requiredOption('--supernet <run>', 'folder of a run with a fitted accuracy predictor')
    .requiredOption('--device <name...>', 'devices with a latency table')
    .requiredOption('--max-latency-ms <ms...>', 'latency limits', limits)
    .requiredOption('--out <dir>', 'folder of the ONNX files')
    .option('--data <data>', 'data set (default: the one the run was trained on)')
    .option('--strategy <name>', 'evolution, random or exhaustive')
    .option('--protocol <name>', 'standard, thorough or quick', 'standard')
    .option('--finalists <n>', 'candidates scored and measured for every cell', integer('finalists', 1), 4)
    .option(
      '--calibration-images <n>',
      'training images for batch-norm statistics',
      integer('calibration-images', 1),
      2000,
    )
    .addOption(seedOption())
    .addHelpText(
      'after',
      '\nExample: ofa specialize --supernet runs/digits --device local-cpu --max-latency-ms 0.1,0.2 --out models',
    )
    .action(async (options: SpecializeOptions, self: Command) => {
      const [
        { specialize: run },
        { openRun, openLoader, createEvaluator },
        { createRuntime },
        { openAccuracyPredictor },
        { findTable },
        query,
        device,
        protocol,
        predictors,
      ] = await Promise.all([
        import('../../pipeline/specialize.js'),
        import('../../pipeline/run.js'),
        import('../../pipeline/runtime.js'),
        import('../../pipeline/accuracy.js'),
        import('../../pipeline/measure.js'),
        import('../../latency/query.js'),
        import('../../device/profile.js'),
        import('../../device/protocol.js'),
        import('../../accuracy/predictor.js'),
      ]);
      const supernet = await openRun(options.supernet);
      const logger = await context.logger();
      const targets = await Promise.all(
        options.device.map(async (name) => {
          const profile = await device.loadDevice(name);
          const latency = await query.openLatencyTable(findTable(profile.name, supernet.space.name));
          latency.checkSpace(supernet.space);
          return {
            device: profile,
            latency,
            maxLatencyMs: options.maxLatencyMs,
          };
        }),
      );
      const loader = await openLoader(supernet.space, options.data ?? supernet.data, {
        batchSize: 1,
        seed: 0,
        logger,
      });
      const runtime = await createRuntime();
      try {
        const predictor = await openAccuracyPredictor(supernet, runtime.inference);
        const models = await run({
          run: supernet,
          loader,
          evaluator: createEvaluator(supernet, loader, runtime, {
            calibrationImages: options.calibrationImages,
          }),
          predictAccuracy: predictors.accuracyFunction(predictor),
          targets,
          protocol: protocol.protocolByName(options.protocol),
          folder: options.out,
          seed: options.seed,
          finalists: options.finalists,
          logger,
          signal: context.signal,
          ...(options.strategy === undefined ? {} : { strategy: options.strategy }),
        });
        await predictor.dispose();
        context.result(self, { models }, () => formatModels(models));
      } finally {
        await loader.close();
        await runtime.dispose();
      }
    });
};

interface ModelRow {
  readonly device: string;
  readonly maxLatencyMs: number;
  readonly predictedMs: number;
  readonly measuredMs: number;
  readonly predictedTop1: number;
  readonly measuredTop1: number;
  readonly macs: number;
  readonly onnx: string;
}

/** Budget, predicted and measured latency and top-1, file. */
export function formatModels(models: readonly ModelRow[]): string {
  return formatRows(
    [
      'device',
      'limit ms',
      'predicted ms',
      'measured ms',
      'predicted top-1',
      'measured top-1',
      'MACs (millions)',
      'file',
    ],
    models.map((m) => [
      m.device,
      m.maxLatencyMs,
      m.predictedMs.toFixed(3),
      m.measuredMs.toFixed(3),
      percent(m.predictedTop1),
      percent(m.measuredTop1),
      (m.macs / 1e6).toFixed(2),
      m.onnx,
    ]),
  );
}
