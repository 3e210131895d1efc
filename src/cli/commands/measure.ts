import type { Command } from 'commander';
import {
  addSpaceOptions,
  integer,
  seedOption,
  spaceOverrides,
  type Register,
  type SpaceOptions,
} from '../context.js';

interface MeasureOptions extends SpaceOptions {
  readonly device: string;
  readonly whole: number;
  readonly protocol: string;
  readonly table?: string;
  readonly seed: number;
}

export const measure: Register = (program, context) => {
  addSpaceOptions(program.command('measure'))
    .description('fill the latency table of a device; the same command goes on where it was stopped')
    .requiredOption('--device <name>', 'a device in devices/ or a profile file')
    .option('--whole <n>', 'whole subnets to check predictions with', integer('whole'), 0)
    .option('--protocol <name>', 'standard or quick', 'standard')
    .option('--table <file>', 'where to write (default: latency-tables/DEVICE/SPACE.json)')
    .addOption(seedOption())
    .addHelpText('after', '\nExample: ofa measure --space mbv3-tiny --device local-cpu --whole 30')
    .action(async (options: MeasureOptions, self: Command) => {
      const [{ measure: run, ownTablePath }, { loadSpace }, { loadDevice }, { protocolByName }] =
        await Promise.all([
          import('../../pipeline/measure.js'),
          import('../../space/presets.js'),
          import('../../device/profile.js'),
          import('../../device/protocol.js'),
        ]);
      const space = await loadSpace(options.space, spaceOverrides(options));
      const device = await loadDevice(options.device);
      const path = options.table ?? ownTablePath(device.name, space.name);
      const { table, measured, failures } = await run({
        space,
        device,
        protocol: protocolByName(options.protocol),
        path,
        whole: options.whole,
        seed: options.seed,
        logger: await context.logger(),
        signal: context.signal,
      });
      const document = {
        table: path,
        device: device.name,
        space: space.name,
        blocks: Object.keys(table.entries).length,
        wholeSubnets: table.wholeSubnets.length,
        measured,
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
