import type { Command } from 'commander';
import type { Register } from '../context.js';

export const report: Register = (program, context) => {
  program
    .command('report')
    .argument('<run>', 'folder of a quickstart or of a run')
    .description('write report.html')
    .addHelpText('after', '\nExample: ofa report quickstart')
    .action(async (folder: string, _options: unknown, self: Command) => {
      const { reportFolder } = await import('../../pipeline/report.js');
      const path = await reportFolder(folder);
      context.result(self, { report: path }, () => `${path}\n`);
    });
};
