import type { Command } from 'commander';
import { UsageError } from '../../util/errors.js';
import { formatRows } from '../console.js';
import type { Register } from '../context.js';

interface QueryOptions {
  readonly table: string;
  readonly arch?: string;
  readonly block?: string;
  readonly method?: string;
}

export const latency: Register = (program, context) => {
  const command = program.command('latency').description('questions to latency tables; no runtime is loaded');
  command
    .command('query')
    .description('latency of a subnet, or of one block')
    .requiredOption('--table <file>', 'a latency table')
    .option('--arch <arch>', 'an architecture: JSON, a file, "largest" or "smallest"')
    .option('--block <key>', 'key of one entry instead')
    .option('--method <name>', 'predictor (default: the best by leave-one-out error)')
    .addHelpText(
      'after',
      '\nExample: ofa latency query --table latency-tables/local-cpu/mbv3-tiny.json --arch smallest',
    )
    .action(async (options: QueryOptions, self: Command) => {
      if ((options.arch === undefined) === (options.block === undefined)) {
        throw new UsageError('Cannot query the table: either --arch or --block is wanted');
      }
      const { openLatencyTable } = await import('../../latency/query.js');
      if (options.block !== undefined) {
        const [{ readTable, tableEntry }] = [await import('../../latency/table.js')];
        const entry = tableEntry(await readTable(options.table), options.block);
        context.result(self, { block: options.block, ...entry }, () => `${entry.latencyMs} ms\n`);
        return;
      }
      const { readArchitecture } = await import('../../space/file.js');
      const query = await openLatencyTable(options.table, options.method);
      const answer = query.architecture(await readArchitecture(options.arch!, query.space));
      context.result(self, answer, () => {
        const interval =
          answer.intervalMs === null
            ? ''
            : `, 90 % within ${answer.intervalMs.map((ms) => ms.toFixed(3)).join('-')} ms`;
        return `${answer.latencyMs.toFixed(3)} ms on ${answer.device} (${answer.method}${interval})\n`;
      });
    });
  command
    .command('validate')
    .description('predicted against measured latency of whole subnets that no predictor has seen')
    .requiredOption('--table <file>', 'a latency table')
    .addHelpText('after', '\nExample: ofa latency validate --table latency-tables/local-cpu/mbv3-tiny.json')
    .action(async (options: { table: string }, self: Command) => {
      const [{ validateTable }, { readTable }] = await Promise.all([
        import('../../latency/query.js'),
        import('../../latency/table.js'),
      ]);
      const validation = validateTable(await readTable(options.table));
      context.result(self, validation, () =>
        formatRows(
          ['predictor', 'subnets', 'MAPE %', 'within 5 %', 'within 10 %', 'Kendall tau', ''],
          Object.entries(validation.byMethod).map(([method, errors]) => [
            method,
            errors.count,
            errors.mape.toFixed(2),
            errors.within5Percent.toFixed(1),
            errors.within10Percent.toFixed(1),
            errors.kendallTau?.toFixed(3) ?? '-',
            method === validation.method ? 'used for queries' : '',
          ]),
        ),
      );
    });
};
