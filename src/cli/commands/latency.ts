import type { Command } from 'commander';
import type { TableLoad } from '../../latency/load.js';
import type { PassesAgreement } from '../../latency/passes.js';
import { UsageError } from '../../util/errors.js';
import { checkName } from '../../util/names.js';
import { formatRows } from '../console.js';
import {
  ARCHITECTURE_WORDS,
  addSpaceOptions,
  integer,
  spaceOverrides,
  type CliContext,
  type Register,
  type SpaceOptions,
} from '../context.js';
import { addTableChoice, chosenTable, type TableChoice } from '../tableChoice.js';

interface QueryOptions extends TableChoice {
  readonly arch?: string;
  readonly block?: string;
  readonly net?: string;
  readonly imageSize?: number;
  readonly method?: string;
}

interface ImportOptions extends SpaceOptions {
  readonly format: string;
  readonly device: string;
  readonly out?: string;
  readonly source?: string;
  readonly licence: string;
  readonly note: string;
  readonly batch: number;
}

export const latency: Register = (program, context) => {
  const command = program.command('latency').description('questions to latency tables; no runtime is loaded');
  addTableChoice(command.command('query'))
    .description('latency of a subnet, or of one block')
    .option('--arch <arch>', ARCHITECTURE_WORDS)
    .option('--block <key>', 'key of one entry instead')
    .option('--net <file>', "net.config of a network that somebody specialised instead: the table's sum")
    .option(
      '--image-size <n>',
      'of --net (default: run.config beside it) or --block',
      integer('image-size', 1),
    )
    .option('--method <name>', 'predictor (default: the one that was fitted when the table was filled)')
    .addHelpText(
      'after',
      '\nExample: ofa latency query --table latency-tables/local-cpu/mbv3-tiny.json --arch smallest',
    )
    .action(async (options: QueryOptions, self: Command) => {
      if ([options.arch, options.block, options.net].filter((word) => word !== undefined).length !== 1) {
        throw new UsageError('Cannot query the table: either --arch or --block is wanted, or --net');
      }
      const file = await chosenTable(options);
      const { openLatencyTable } = await import('../../latency/query.js');
      const { loadWarning, tableLoad } = await import('../../latency/load.js');
      const tell = async (table: Parameters<typeof tableLoad>[0]): Promise<{ load: TableLoad | null }> => {
        const load = tableLoad(table);
        const warning = loadWarning(load);
        if (warning !== undefined) (await context.logger()).warn(warning);
        return { load };
      };
      if (options.block !== undefined) {
        const [{ readTable, tableEntry }] = [await import('../../latency/table.js')];
        const table = await readTable(file);
        const entry = tableEntry(table, options.block, options.imageSize);
        const document = { block: options.block, ...entry, ...(await tell(table)) };
        context.result(self, document, () => `${entry.latencyMs} ms\n`);
        return;
      }
      if (options.net !== undefined) {
        const { readStaticNetwork } = await import('../../space/staticNetwork.js');
        const network = await readStaticNetwork(options.net, options.imageSize);
        const query = await openLatencyTable(file, 'table');
        const answer = query.network(network);
        context.result(
          self,
          { ...answer, ...(await tell(query.table)) },
          () => `${answer.latencyMs.toFixed(3)} ms on ${answer.device} (${answer.method})\n`,
        );
        return;
      }
      const { openArchitecture } = await import('../../export/openArchitecture.js');
      const query = await openLatencyTable(file, options.method);
      const answer = query.architecture(await openArchitecture(options.arch!, query.space));
      context.result(self, { ...answer, ...(await tell(query.table)) }, () => {
        const interval =
          answer.intervalMs === null
            ? ''
            : `, 90 % within ${answer.intervalMs.map((ms) => ms.toFixed(3)).join('-')} ms`;
        return `${answer.latencyMs.toFixed(3)} ms on ${answer.device} (${answer.method}${interval})\n`;
      });
    });
  addTableChoice(command.command('validate'))
    .description('predicted against measured latency of whole subnets that no predictor has seen')
    .addHelpText('after', '\nExample: ofa latency validate --table latency-tables/local-cpu/mbv3-tiny.json')
    .action(async (options: TableChoice, self: Command) => {
      const [{ validateTable }, { readTable }] = await Promise.all([
        import('../../latency/validate.js'),
        import('../../latency/table.js'),
      ]);
      const validation = validateTable(await readTable(await chosenTable(options)));
      context.result(
        self,
        validation,
        () =>
          formatRows(
            [
              'predictor',
              'subnets',
              'MAPE %',
              'within 5 %',
              'within 10 %',
              'Kendall tau',
              'in interval %',
              '',
            ],
            Object.entries(validation.byMethod).map(([method, errors]) => [
              method,
              errors.count,
              errors.mape.toFixed(2),
              errors.within5Percent.toFixed(1),
              errors.within10Percent.toFixed(1),
              errors.kendallTau?.toFixed(3) ?? '-',
              errors.coveredPercent?.toFixed(1) ?? '-',
              method === validation.method ? 'used for queries' : '',
            ]),
          ) + passesLine(validation.passes),
      );
    });
  addSpaceOptions(command.command('import').argument('<files...>', 'files of the foreign table'))
    .description('a latency table that others measured, as one of ours')
    .requiredOption('--format <name>', 'ofa-lut: lookup tables of OFA and ProxylessNAS, YAML or CSV')
    .requiredOption('--device <name>', 'what the table calls the device')
    .option('--out <table>', 'where to write (default: latency-tables/DEVICE/SPACE.json)')
    .option('--source <text>', 'where the figures were published (default: the names of the files)')
    .option('--licence <text>', 'of the figures', 'not stated')
    .option('--note <text>', 'how they were measured', '')
    .option('--batch <n>', 'images a run', integer('batch', 1), 1)
    .addHelpText(
      'after',
      '\nExample: ofa latency import --format ofa-lut --device note10 --space ofa-mbv3 --width 1.2 224_lookup_table.yaml',
    )
    .action((files: string[], options: ImportOptions, self: Command) =>
      importTable(context, files, options, self),
    );
};

/** How far that repeats which predictions are compared with: so much of their errors is not theirs. */
function passesLine(passes: PassesAgreement | null): string {
  if (passes === null) return '';
  const { networks, deviationPercent, meanDeviationPercent, kendallTau } = passes;
  return (
    `One measurement repeats with a standard deviation of ${deviationPercent.toFixed(2)} % and, between passes, a Kendall tau of ${kendallTau.toFixed(3)};\n` +
    `the mean of ${passes.passes}, which predictions are compared with, with ${meanDeviationPercent.toFixed(2)} % (${networks} networks)\n`
  );
}

async function importTable(
  context: CliContext,
  files: readonly string[],
  options: ImportOptions,
  self: Command,
): Promise<void> {
  const [{ latencyImportByName }, { ownTablePath }, { loadSpace }, { writeTable }, { withFileLock }, path] =
    await Promise.all([
      import('../../latency/import/index.js'),
      import('../../pipeline/tables.js'),
      import('../../space/presets.js'),
      import('../../latency/table.js'),
      import('../../util/lock.js'),
      import('node:path'),
    ]);
  const format = latencyImportByName(options.format);
  const space = await loadSpace(options.space, spaceOverrides(options));
  const { licence, note, batch } = options;
  const device = checkName('device', options.device);
  const source = options.source ?? files.map((file) => path.basename(file)).join(', ');
  const origin = { source, licence, note };
  const { table, missing, unused } = await format.read({ files, device, space, origin, batch });
  const file = options.out ?? (await ownTablePath(device, space));
  const purpose = { action: 'import into', instead: 'give another --out' };
  await withFileLock(file, purpose, () => writeTable(file, table));
  const missingBlocks = [...missing.values()].flat().length;
  const document = {
    table: file,
    device,
    space: space.name,
    imageSizes: table.space.imageSizes,
    blocks: Object.values(table.entries).reduce((sum, entries) => sum + Object.keys(entries).length, 0),
    missing: missingBlocks,
    unused,
  };
  context.result(
    self,
    document,
    () =>
      `${file} has ${document.blocks} blocks at image sizes ${document.imageSizes.join(', ')}\n` +
      (missingBlocks === 0
        ? ''
        : `The files lack ${missingBlocks} blocks of the space: searches leave out networks that have them\n`) +
      (unused === 0 ? '' : `${unused} rows of the files are of no block of the space\n`),
  );
}
