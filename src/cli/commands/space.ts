import type { Command } from 'commander';
import { addSpaceOverrides, spaceOverrides, type Register, type SpaceOptions } from '../context.js';
import { formatRows } from '../console.js';

export const space: Register = (program, context) => {
  const command = program.command('space').description('search spaces');
  command
    .command('list')
    .description('the spaces that ship with the package')
    .addHelpText('after', '\nExample: ofa space list')
    .action(async (_options: unknown, self: Command) => {
      const [{ listSpaces, loadSpace }, { describeSpace }] = await Promise.all([
        import('../../space/presets.js'),
        import('../../space/describe.js'),
      ]);
      const list = await Promise.all(
        listSpaces().map(async (name) => {
          const loaded = await loadSpace(name);
          const { subnets, macs } = describeSpace(loaded);
          return { name, description: loaded.file.description, subnets, macs };
        }),
      );
      context.result(self, list, () =>
        formatRows(
          ['space', 'subnets', 'MACs (millions)', 'description'],
          list.map(({ name, subnets, macs, description }) => [
            name,
            formatCount(subnets),
            macs.map(millions).join('-'),
            description,
          ]),
        ),
      );
    });
  addSpaceOverrides(command.command('show').argument('<name>', 'a space in supernets/ or a file'))
    .description('dimensions, number of subnets, range of MACs and parameters')
    .addHelpText('after', '\nExample: ofa space show ofa-mbv3 --width 1.2')
    .action(async (name: string, options: SpaceOptions, self: Command) => {
      const [{ loadSpace }, { describeSpace }] = await Promise.all([
        import('../../space/presets.js'),
        import('../../space/describe.js'),
      ]);
      const loaded = await loadSpace(name, spaceOverrides(options));
      const description = describeSpace(loaded);
      context.result(self, description, () => {
        const { name: title, subnets, macs, params, classes, width, dimensions } = description;
        const rows = dimensions.map(({ list, meaning, positions, choices }) => [
          list,
          meaning,
          positions.length,
          choices.join(', '),
        ]);
        return (
          `${title}: ${description.description}\n${formatCount(subnets)} subnets, ${macs.map(millions).join('-')} million MACs, ` +
          `${params.map(millions).join('-')} million parameters, ${classes} classes, width ${width}\n\n` +
          formatRows(['genes', 'meaning', 'positions', 'choices'], rows)
        );
      });
    });
};

const millions = (n: number): string => (n / 1e6).toPrecision(3);

/** Digits for small numbers, powers of ten for large ones. */
function formatCount(digits: string): string {
  if (digits.length <= 7) return digits;
  return `${digits[0]!}.${digits.slice(1, 3)}e${digits.length - 1}`;
}
