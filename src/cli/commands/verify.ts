import type { Command } from 'commander';
import { UserError } from '../../util/errors.js';
import { readBytes } from '../../util/files.js';
import type { Register } from '../context.js';
import { formatVerification } from './export.js';

export const verify: Register = (program, context) => {
  program
    .command('verify')
    .argument('<file>', 'an exported ONNX file')
    .description('check an exported file and run it at every optimisation level')
    .addHelpText('after', '\nExample: ofa verify models/mbv3-tiny-local-cpu-0.1ms.onnx')
    .action(async (file: string, _options: unknown, self: Command) => {
      const { verifyModel } = await import('../../export/verify.js');
      const verification = await verifyModel(await readBytes(file), { where: file });
      context.result(self, { file, ...verification }, () => formatVerification(verification));
      if (!verification.passed) throw new UserError(`${file} did not pass`);
    });
};
