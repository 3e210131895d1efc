import { Option, type Command } from 'commander';
import { addSpaceOptions, spaceOverrides, type Register, type SpaceOptions } from '../context.js';

interface ImportOptions extends SpaceOptions {
  readonly format: 'ofa-pytorch';
  readonly weights: string;
  readonly out: string;
}

export const importCommand: Register = (program, context) => {
  addSpaceOptions(program.command('import'))
    .description('make a run of a supernet that Once-for-All published')
    .addOption(
      new Option('--format <format>', 'whose names the file has')
        .choices(['ofa-pytorch'])
        .default('ofa-pytorch'),
    )
    .requiredOption(
      '--weights <file>',
      'the supernet: a file of torch.save, or safetensors with the same names',
    )
    .requiredOption('--out <run>', 'folder of the run')
    .addHelpText(
      'after',
      '\nExample: ofa import --weights ofa_mbv3_d234_e346_k357_w1.2 --space ofa-mbv3 --width 1.2 --out runs/ofa-mbv3',
    )
    .action(async (options: ImportOptions, self: Command) => {
      const [{ importSupernet }, { loadSpace }] = await Promise.all([
        import('../../pipeline/import.js'),
        import('../../space/presets.js'),
      ]);
      const space = await loadSpace(options.space, spaceOverrides(options));
      const { format, weights, out } = options;
      const result = await importSupernet({
        format,
        weights,
        space,
        infer: { width: options.width === undefined, classes: options.classes === undefined },
        folder: out,
        logger: await context.logger(),
      });
      context.result(
        self,
        { run: out, space: space.name, ...result },
        () =>
          `Imported ${result.tensors} tensors of ${(result.values / 1e6).toFixed(2)} million values, width ${result.width}, ${result.classes} classes; the supernet is in ${out}\n`,
      );
    });
};
