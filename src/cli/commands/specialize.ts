import type { Command } from 'commander';
import { UsageError } from '../../util/errors.js';
import { calibrationImagesOption, integer, number, seedOption, type Register } from '../context.js';
import { formatSpecialization } from '../specializationTables.js';

interface SpecializeOptions {
  readonly supernet: string;
  readonly device: string[];
  readonly table?: string[];
  readonly maxLatencyMs: number[];
  readonly out: string;
  readonly data?: string;
  readonly strategy?: string;
  readonly protocol: string;
  readonly finalists: number;
  readonly calibrationImages: number;
  readonly seed: number;
}

/** `1,2` and `--max-latency-ms 1 --max-latency-ms 2` are the same. */
const limits = (text: string, previous: number[] | undefined): number[] => [
  ...(previous ?? []),
  ...text.split(',').map(number('max-latency-ms', { above: 0 })),
];

export const specialize: Register = (program, context) => {
  program
    .command('specialize')
    .description(
      'search, calibrate, measure, export and verify: one ONNX file for every device and latency limit; the same command goes on',
    )
    .requiredOption('--supernet <run>', 'folder of a run with a fitted accuracy predictor')
    .requiredOption('--device <name...>', 'devices with a latency table')
    .option(
      '--table <file...>',
      "the devices' latency tables, in the same order (default: latency-tables/DEVICE/SPACE.json)",
    )
    .requiredOption('--max-latency-ms <ms...>', 'latency limits', limits)
    .requiredOption('--out <dir>', 'folder of the ONNX files')
    .option('--data <data>', 'data set (default: the one the run was trained on)')
    .option('--strategy <name>', 'how networks are proposed (default: as in ofa search)')
    .option('--protocol <name>', 'standard, thorough or quick', 'standard')
    .option('--finalists <n>', 'candidates scored and measured for every cell', integer('finalists', 1), 4)
    .addOption(calibrationImagesOption())
    .addOption(seedOption())
    .addHelpText(
      'after',
      '\nExample: ofa specialize --supernet runs/digits --device local-cpu --max-latency-ms 0.1,0.2 --out models',
    )
    .action(async (options: SpecializeOptions, self: Command) => {
      const [
        { specialize: run },
        { specializationFile },
        { writeSpecializationReport },
        { openRun },
        { withRun },
        { openAccuracyPredictor },
        { openDeviceTables },
        { openDevice },
        { protocolByName },
        { accuracyFunction },
      ] = await Promise.all([
        import('../../pipeline/specialize.js'),
        import('../../pipeline/specialization.js'),
        import('../../pipeline/specializationReport.js'),
        import('../../pipeline/run.js'),
        import('../../pipeline/withRun.js'),
        import('../../pipeline/accuracy.js'),
        import('../deviceTables.js'),
        import('../../device/profile.js'),
        import('../../device/protocol.js'),
        import('../../accuracy/predictor.js'),
      ]);
      const supernet = await openRun(options.supernet);
      const protocol = protocolByName(options.protocol);
      const logger = await context.logger();
      const profiles = await Promise.all(
        (options.table === undefined ? [...new Set(options.device)] : options.device).map((name) =>
          openDevice(name, logger),
        ),
      );
      const names = profiles.map(({ name }) => name);
      const twice = names.find((name, i) => names.indexOf(name) < i);
      if (twice !== undefined)
        throw new UsageError(`Cannot use --device: each is wanted once: "${twice}" is there twice`);
      const tables = await openDeviceTables(supernet.space, names, options.table);
      const targets = profiles.map((device, i) => ({
        device,
        latency: tables[i]!.latency,
        maxLatencyMs: options.maxLatencyMs,
      }));
      const { data, calibrationImages, strategy, out: folder, seed, finalists } = options;
      await withRun(supernet, { data, calibrationImages, logger }, async (opened) => {
        const { data: images, loader, runtime, evaluator } = opened;
        const predictor = await openAccuracyPredictor(supernet, runtime.inference, {
          data: images,
          logger,
        });
        const work = run({
          run: supernet,
          loader,
          dataSha256: await images.dataKey(),
          evaluator,
          predictAccuracy: accuracyFunction(predictor),
          targets,
          engine: runtime.inference,
          protocol,
          folder,
          seed,
          finalists,
          logger,
          signal: context.signal,
          ...(strategy === undefined ? {} : { strategy }),
        });
        const result = await work.finally(() => predictor.dispose());
        const report = await writeSpecializationReport({ run: supernet, loader, targets, result, folder });
        const document = specializationFile(result);
        context.result(self, document, () => `${formatSpecialization(document)}\n${report}\n`);
      });
    });
};
