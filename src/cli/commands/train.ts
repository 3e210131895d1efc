import type { Command } from 'commander';
import type { OnCorrupt } from '../../data/dataset.js';
import type { EngineName, Provider } from '../../pipeline/engineName.js';
import { UsageError } from '../../util/errors.js';
import { formatBytes } from '../../util/memory.js';
import {
  addSpaceOptions,
  engineOption,
  integer,
  number,
  onCorruptOption,
  providerOption,
  seedOption,
  skippedLine,
  spaceOverrides,
  threadsOption,
  validationShareOption,
  type Register,
  type SpaceOptions,
} from '../context.js';
import { memorySize } from '../memorySize.js';
import { estimateDocument, formatEstimate } from '../estimateTable.js';
import { formatProfile } from '../profileTable.js';

interface TrainOptions extends SpaceOptions {
  readonly data: string;
  readonly out: string;
  readonly init?: string;
  readonly schedule: string;
  readonly epochsScale: number;
  readonly engine: EngineName;
  readonly provider: Provider;
  readonly seed: number;
  readonly threads?: number;
  readonly workers?: number;
  readonly validateEvery?: number;
  readonly maxMemory?: number;
  readonly profile?: true;
  readonly dryRun?: true;
  readonly profileSteps: number;
  readonly onCorrupt?: OnCorrupt;
  readonly validationShare?: number;
}

/** Of steps timed before training; a dry run takes its time. */
const ESTIMATE_SECONDS = 20;

export const train: Register = (program, context) => {
  addSpaceOptions(program.command('train'))
    .description('train a supernet; the same command goes on where it was stopped')
    .requiredOption(
      '--data <data>',
      'data set: mnist, fashion-mnist[:FOLDER], cifar10:FOLDER, imagefolder:FOLDER',
    )
    .requiredOption('--out <run>', 'folder of the run')
    .option('--init <run>', 'a run, or a safetensors file, whose weights to start from')
    .option('--schedule <schedule>', 'progressive, sandwich, random, or a file', 'progressive')
    .option(
      '--epochs-scale <factor>',
      'stretches or shrinks every phase',
      number('epochs-scale', { above: 0 }),
      1,
    )
    .addOption(engineOption())
    .addOption(providerOption())
    .addOption(threadsOption())
    .option('--workers <n>', 'threads that prepare images (default: 1)', integer('workers'))
    .option(
      '--validate-every <epochs>',
      'epochs between validations (default: 1, but at least 50 steps)',
      number('validate-every', { above: 0 }),
    )
    .option(
      '--max-memory <size>',
      'memory to stay within, e.g. 12GB (default: most of the machine)',
      memorySize('max-memory'),
    )
    .option('--dry-run', 'say what it would do and take, and end; nothing is written')
    .option('--profile', 'profile the next steps, save and end; without it the same command goes on')
    .option('--profile-steps <n>', 'steps to profile', integer('profile-steps', 1), 20)
    .addOption(validationShareOption('the data set'))
    .addOption(onCorruptOption('fail'))
    .addOption(seedOption())
    .addHelpText(
      'after',
      '\nExample: ofa train --space mbv3-cifar --data cifar10:./cifar-10-batches-bin --out runs/cifar --epochs-scale 0.1',
    )
    .action(async (options: TrainOptions, self: Command) => {
      if (options.dryRun === true && options.profile === true)
        throw new UsageError('Cannot profile a dry run: --dry-run and --profile do not go together');
      const [{ estimateTrain, train: run }, { loadSpace }, { loadSchedule }] = await Promise.all([
        import('../../pipeline/train.js'),
        import('../../space/presets.js'),
        import('../../training/schedule.js'),
      ]);
      const request = {
        space: await loadSpace(options.space, spaceOverrides(options)),
        data: options.data,
        schedule: await loadSchedule(options.schedule),
        folder: options.out,
        seed: options.seed,
        engine: options.engine,
        provider: options.provider,
        epochsScale: options.epochsScale,
        ...(options.validateEvery !== undefined && { validateEveryEpochs: options.validateEvery }),
        ...(options.init === undefined ? {} : { init: options.init }),
        ...(options.threads === undefined ? {} : { threads: options.threads }),
        ...(options.workers === undefined ? {} : { workers: options.workers }),
        ...(options.validationShare === undefined ? {} : { validationFraction: options.validationShare }),
        ...(options.onCorrupt === undefined ? {} : { onCorrupt: options.onCorrupt }),
        ...(options.maxMemory === undefined ? {} : { maxMemory: options.maxMemory }),
        ...(options.profile === undefined
          ? { estimateSeconds: ESTIMATE_SECONDS }
          : { profileSteps: options.profileSteps }),
        logger: await context.logger(),
        signal: context.signal,
      };
      if (options.dryRun === true) {
        const estimate = await estimateTrain(request);
        context.result(self, estimateDocument(options.out, estimate), () =>
          formatEstimate(options.out, estimate),
        );
        return;
      }
      const { steps, weightsSha256, skippedImages, ignoredFiles, profile, peakMemoryBytes } =
        await run(request);
      context.result(
        self,
        {
          run: options.out,
          steps,
          weightsSha256,
          skippedImages,
          ignoredFiles,
          peakMemoryBytes,
          ...(profile === undefined ? {} : { profile }),
        },
        () =>
          (profile === undefined ? '' : `${formatProfile(profile)}\n`) +
          `Trained ${steps} steps; the supernet is in ${options.out}\n${skippedLine(skippedImages)}` +
          `Peak memory ${formatBytes(peakMemoryBytes)}\n`,
      );
    });
};
