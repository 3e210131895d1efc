import type { Command } from 'commander';
import { UsageError } from '../../util/errors.js';
import { integer, seedOption, type Register } from '../context.js';
import { addSpaceChoice, chosenSpace, type SpaceChoice } from '../spaceChoice.js';

interface MeasureOptions extends SpaceChoice {
  readonly device: string;
  readonly whole: number;
  readonly fit?: number;
  readonly passes: number;
  readonly fewShot?: number;
  readonly from?: string[];
  readonly protocol: string;
  readonly table?: string;
  readonly seed: number;
}

export const measure: Register = (program, context) => {
  addSpaceChoice(program.command('measure'))
    .description('fill the latency table of a device; the same command goes on where it was stopped')
    .requiredOption('--device <name>', 'a device in devices/ or a profile file')
    .option('--whole <n>', 'whole subnets to check predictions with', integer('whole'), 0)
    .option(
      '--fit <n>',
      'whole subnets to correct predictions with (default: as --whole, at least 20)',
      integer('fit'),
    )
    .option('--passes <n>', 'times that each whole subnet is measured', integer('passes', 1), 3)
    .option(
      '--few-shot <n>',
      'no blocks: n whole subnets, and what tables of other devices know',
      integer('few-shot', 5),
    )
    .option('--from <table...>', 'tables of other devices, or their names, for --few-shot')
    .option('--protocol <name>', 'standard, thorough or quick', 'standard')
    .option(
      '--table <file>',
      'where to write (default: latency-tables/DEVICE/SPACE.json, with width and classes where they were changed)',
    )
    .addOption(seedOption())
    .addHelpText('after', '\nExample: ofa measure --space mbv3-tiny --device local-cpu --whole 30')
    .action(async (options: MeasureOptions, self: Command) => {
      if ((options.fewShot === undefined) !== (options.from === undefined))
        throw new UsageError('Cannot learn from other devices: --few-shot and --from go together');
      const [
        { measure: run },
        { findSourceTable, ownTablePath },
        { tableExamples },
        { openDevice },
        { loadWarning, tableLoad },
        { protocolByName },
      ] = await Promise.all([
        import('../../pipeline/measure.js'),
        import('../../pipeline/tables.js'),
        import('../../latency/query.js'),
        import('../../device/profile.js'),
        import('../../latency/load.js'),
        import('../../device/protocol.js'),
      ]);
      const space = await chosenSpace(options);
      const logger = await context.logger();
      const device = await openDevice(options.device, logger);
      const path = options.table ?? (await ownTablePath(device.name, space));
      const { table, measured, failures, drifted } = await run({
        space,
        device,
        protocol: protocolByName(options.protocol),
        path,
        whole: options.whole,
        ...(options.fit === undefined ? {} : { fit: options.fit }),
        passes: options.passes,
        ...(options.fewShot === undefined
          ? {}
          : {
              fewShot: {
                count: options.fewShot,
                from: await Promise.all(
                  options.from!.map(async (word) =>
                    word.endsWith('.json') ? word : await findSourceTable(word, space),
                  ),
                ),
              },
            }),
        seed: options.seed,
        logger,
        signal: context.signal,
      });
      const warning = loadWarning(tableLoad(table));
      if (warning !== undefined) logger.warn(warning);
      const document = {
        table: path,
        device: device.name,
        space: space.name,
        blocks: Object.keys(table.entries).length,
        wholeSubnets: tableExamples(table, 'fit').length + tableExamples(table, 'check').length,
        measured,
        predictor: table.predictor?.name ?? null,
        drifted: drifted.length,
        failures: Object.fromEntries(failures),
      };
      context.result(
        self,
        document,
        () =>
          `${measured} measurements; ${path} has ${document.blocks} blocks and ${document.wholeSubnets} whole subnets\n` +
          [...failures].map(([key, reason]) => `Not measured: ${key}: ${reason}\n`).join(''),
      );
    });
};
