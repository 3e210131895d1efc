import type { Command } from 'commander';
import { formatRows } from '../console.js';
import { addSpaceOptions, spaceOverrides, type Register, type SpaceOptions } from '../context.js';

export const cost: Register = (program, context) => {
  addSpaceOptions(program.command('cost'))
    .description('MACs, parameters, file size and peak activation memory of a subnet')
    .requiredOption('--arch <arch>', 'an architecture: JSON, a file, "largest" or "smallest"')
    .addHelpText('after', '\nExample: ofa cost --space ofa-mbv3 --arch largest')
    .action(async (options: SpaceOptions & { arch: string }, self: Command) => {
      const [{ loadSpace }, { readArchitecture }, { networkCosts }, { toFile }] = await Promise.all([
        import('../../space/presets.js'),
        import('../../space/file.js'),
        import('../../space/costs.js'),
        import('../../space/architecture.js'),
      ]);
      const space = await loadSpace(options.space, spaceOverrides(options));
      const arch = await readArchitecture(options.arch, space);
      const costs = networkCosts(space.network(arch));
      context.result(self, { space: space.name, architecture: toFile(arch), ...costs }, () => {
        const { macs, params, modelBytes, peakActivationBytes, blocks } = costs;
        const rows = blocks.map((block) => [block.name, block.macs, block.params, block.peakActivationBytes]);
        return (
          formatRows(
            ['block', 'MACs', 'parameters', 'activation bytes'],
            [...rows, ['whole', macs, params, peakActivationBytes]],
          ) + `\nFile size about ${(modelBytes / 2 ** 20).toFixed(2)} MiB (float32)\n`
        );
      });
    });
};
