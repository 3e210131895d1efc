import type { Command } from 'commander';
import type { NetworkCosts } from '../../space/costs.js';
import { UsageError } from '../../util/errors.js';
import { formatRows } from '../console.js';
import { ARCHITECTURE_WORDS, integer, type Register } from '../context.js';
import { addSpaceChoice, chosenSpace, type SpaceChoice } from '../spaceChoice.js';

interface CostOptions extends SpaceChoice {
  readonly arch?: string;
  readonly net?: string;
  readonly imageSize?: number;
}

export const cost: Register = (program, context) => {
  addSpaceChoice(program.command('cost'))
    .description('MACs, parameters, file size and peak activation memory of a subnet')
    .option('--arch <arch>', ARCHITECTURE_WORDS)
    .option('--net <file>', 'instead of these: net.config of a network that somebody specialised')
    .option('--image-size <n>', 'of --net (default: that of run.config beside it)', integer('image-size', 1))
    .addHelpText('after', '\nExample: ofa cost --space ofa-mbv3 --arch largest')
    .action(async (options: CostOptions, self: Command) => {
      const { what, costs } = await (options.net === undefined ? ofSubnet(options) : ofNetwork(options));
      context.result(self, { ...what, ...costs }, () => formatCosts(costs));
    });
};

interface Answer {
  /** First keys of the document. */
  readonly what: Readonly<Record<string, unknown>>;
  readonly costs: NetworkCosts;
}

async function ofSubnet(options: CostOptions): Promise<Answer> {
  if ((options.space ?? options.supernet) === undefined || options.arch === undefined) {
    throw new UsageError(
      'Cannot count costs: either --space and --arch or --net is wanted (--supernet may stand for --space)',
    );
  }
  const [{ openArchitecture }, { networkCosts }, { toFile }] = await Promise.all([
    import('../../export/openArchitecture.js'),
    import('../../space/costs.js'),
    import('../../space/architecture.js'),
  ]);
  const space = await chosenSpace(options);
  const arch = await openArchitecture(options.arch, space);
  return {
    what: { space: space.name, architecture: toFile(arch) },
    costs: networkCosts(space.network(arch)),
  };
}

async function ofNetwork(options: CostOptions): Promise<Answer> {
  const { net, arch, space, supernet, imageSize } = options;
  if (arch !== undefined || space !== undefined || supernet !== undefined) {
    throw new UsageError('Cannot count costs: --net does not go with --space, --supernet and --arch');
  }
  const [{ readStaticNetwork }, { networkCosts }] = await Promise.all([
    import('../../space/staticNetwork.js'),
    import('../../space/costs.js'),
  ]);
  const network = await readStaticNetwork(net!, imageSize);
  return { what: { network: net, imageSize: network.input.height }, costs: networkCosts(network) };
}

function formatCosts({ macs, params, modelBytes, peakActivationBytes, blocks }: NetworkCosts): string {
  const rows = blocks.map((block) => [block.name, block.macs, block.params, block.peakActivationBytes]);
  return (
    formatRows(
      ['block', 'MACs', 'parameters', 'activation bytes'],
      [...rows, ['whole', macs, params, peakActivationBytes]],
    ) + `\nFile size about ${(modelBytes / 2 ** 20).toFixed(2)} MiB (float32)\n`
  );
}
